/** Policies that replace the shipped ones are checked like those of a bundle: refused whole, with every place. */
import { describe, expect, test } from 'vitest';
import { AppError } from '../../src/domain/errors.ts';
import { replacedPlane } from './shipped-control.ts';

const HEAD = '@id("p") @reason("r")\n';

function refusal(text: string): AppError {
  try {
    replacedPlane(text);
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('refused with its place is', () => {
  test.each([
    [
      'a syntax error',
      `${HEAD}permit (principal, action, resource) when { principal. };`,
      '2:',
      'unexpected token',
    ],
    [
      'an unknown attribute',
      `${HEAD}permit (principal, action, resource) when { principal.rank == 1 };`,
      '2:45',
      'rank',
    ],
    [
      'an unknown role',
      `${HEAD}permit (principal in Duramen::Role::"root", action, resource);`,
      '2:',
      'root',
    ],
    [
      'an unknown action',
      `${HEAD}permit (principal, action == Duramen::Action::"reboot", resource);`,
      '2:',
      'reboot',
    ],
    ['a type of the decisions', `${HEAD}permit (principal is AI::User, action, resource);`, '2:', 'AI::User'],
    [
      'an unsafe optional attribute',
      `${HEAD}permit (principal, action, resource) when { context.pushedBy == principal };`,
      '2:',
      'pushedBy',
    ],
    ['a policy without an id', '@reason("r")\npermit (principal, action, resource);', '1:1', 'no `@id`'],
    ['a policy without a reason', '@id("p")\npermit (principal, action, resource);', '1:1', 'no `@reason`'],
    [
      'a second policy of one id',
      `${HEAD}permit (principal, action, resource);\n${HEAD}permit (principal, action, resource);`,
      '3:1',
      'is taken',
    ],
    ['a template', `${HEAD}permit (principal == ?principal, action, resource);`, '2:22', 'template'],
  ])('%s', (_, text, place, message) => {
    const error = refusal(text);
    expect(error.code).toBe('BUNDLE_INVALID');
    expect(error.message).toBe('the policies of the control plane in `own` are not valid');
    const found = error.problems.map(
      ({ file, line, column, message: said }) => `${file}:${line}:${column} ${said}`,
    );
    expect(found.join('\n')).toContain(`own.cedar:${place}`);
    expect(found.join('\n')).toContain(message);
  });
});

test('every problem is listed', () => {
  const text = `${HEAD}permit (principal, action, resource) when { principal.rank == 1 };\n@id("q")\npermit (principal, action, resource);`;
  expect(refusal(text).problems.map(({ line }) => line)).toEqual([2, 3]);
});

test.each(['', '// nothing here\n'])('no policy at all is refused: %j', text => {
  expect(refusal(text).message).toBe('the policies of the control plane in `own` are none');
});
