/** What is recorded of cedar-wasm: the shipped texts are as it says, and nothing else is taken from the recording. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RecordedAnswers, type Recording } from '../../src/cedar/recorded-answers.ts';
import { parseSchema } from '../../src/cedar/schema-parse.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { compileControlPolicies, setsOf } from '../../src/control/policy-sets.ts';
import { AppError } from '../../src/domain/errors.ts';
import { readControlPlane, readControlSources } from '../../src/wiring/control.ts';
import { readRecordedAnswers } from '../../src/wiring/recorded-answers.ts';
import { recordAnswers } from '../../scripts/record-answers.ts';
import { controlSchema, NOW } from './shipped-control.ts';

const schemaFile = (name: string) => readFileSync(join(import.meta.dirname, '../../schema', name), 'utf8');
const SHIPPED = readControlSources({ twoPersonActivation: 'off' });

/** cedar-wasm as a witness: whatever reaches it fails the test. */
class UnaskedWasm extends CedarWasm {
  override parseSchema(): never {
    throw new Error('cedar-wasm was asked about a schema');
  }

  override parsePolicy(): never {
    throw new Error('cedar-wasm was asked about a policy');
  }

  override validate(): never {
    throw new Error('cedar-wasm was asked to validate');
  }
}

const ASKED: Recording = recordAnswers();

function recordedUnder(cedarVersion: string): RecordedAnswers {
  return new RecordedAnswers({ ...ASKED, cedarVersion: '4.13.0' }, cedarVersion);
}

test('the recording says what cedar-wasm says now', () => {
  expect(JSON.parse(schemaFile('recorded-answers.json'))).toEqual(ASKED);
});

describe('shipped texts', () => {
  test.each(['on', 'off'] as const)('decide without cedar-wasm, two persons %s', twoPersonActivation => {
    const sources = readControlSources({ twoPersonActivation });
    const { sets } = compileControlPolicies(sources, new UnaskedWasm(), readRecordedAnswers());
    const asked = compileControlPolicies(sources, new CedarWasm()).sets;
    expect(sets.map(({ size }) => size)).toEqual(asked.map(({ size }) => size));
  });

  test.each(['control-plane.cedarschema', 'model-serving.cedarschema'])('%s is the same schema', name => {
    const text = schemaFile(name);
    const read = parseSchema(text, readRecordedAnswers().before(new UnaskedWasm()));
    expect(read).toEqual(parseSchema(text, new CedarWasm()));
  });
});

describe('cedar-wasm is asked', () => {
  const recorded = readRecordedAnswers();

  test.each([
    ['another schema', `${schemaFile('model-serving.cedarschema')} `],
    ['a schema named as a member of every object', 'constructor'],
  ])('about %s', (_, text) => {
    expect(recorded.knowsSchema(text)).toBe(false);
    expect(() => recorded.before(new UnaskedWasm()).parseSchema(text)).toThrow('asked about a schema');
  });

  test('about another policy, and about templates', () => {
    const parser = recorded.before(new UnaskedWasm());
    expect(() => parser.parsePolicy('permit (principal, action, resource);')).toThrow('asked about a policy');
    expect(parser.parseTemplate('permit (principal == ?principal, action, resource);').ok).toBe(true);
  });

  test('about everything when the recording is of another version', () => {
    const [own, other] = [recordedUnder('4.13.0'), recordedUnder('4.13.1')];
    const { chosen } = setsOf(SHIPPED, controlSchema());
    expect([own.hasPassed(chosen), other.hasPassed(chosen)]).toEqual([true, false]);
    expect([own, other].map(answers => answers.knowsSchema(SHIPPED.schema.text))).toEqual([true, false]);
  });
});

describe('a set has not passed', () => {
  const recorded = readRecordedAnswers();
  const schema = controlSchema();
  const { builtIn, chosen } = setsOf(SHIPPED, schema);

  test.each([
    ['with one policy file less', { ...chosen, policies: chosen.policies.slice(1) }],
    ['with its files in another order', { ...chosen, policies: chosen.policies.toReversed() }],
    ['under a schema that differs in a space', { ...chosen, schema: { ...schema, text: `${schema.text} ` } }],
    ['as another layer', { ...chosen, layer: 'platform' as const }],
    ['with a template', { ...chosen, templates: builtIn.policies }],
  ])('%s', (_, set) => {
    expect(recorded.hasPassed(chosen)).toBe(true);
    expect(recorded.hasPassed(set)).toBe(false);
  });

  test('when an operator wrote it, who hears of each problem as before', () => {
    const text = '@id("p") @reason("r")\npermit (principal, action, resource) when { principal.rank == 1 };';
    const sources = { ...SHIPPED, policies: [{ path: 'own.cedar', text }], origin: 'own' };
    expect(() => compileControlPolicies(sources, new CedarWasm(), recorded)).toThrow(AppError);
  });
});

test('the plane of the recording decides as that of cedar-wasm', () => {
  const fail = (error: unknown): never => {
    throw error;
  };
  const config = { twoPersonActivation: 'off' } as const;
  const [read, asked] = [readRecordedAnswers(), undefined].map(recorded =>
    readControlPlane(config, { now: () => NOW }, fail, recorded),
  );
  for (const operation of ['pushBundle', 'createKey', 'getStatus', 'nothing']) {
    for (const role of ['admin', 'auditor', 'author', 'pep'] as const) {
      const credential = {
        keyId: 'k',
        roles: new Set([role]),
        tenants: new Set(['acme']),
        mayAssert: false,
      };
      const question = { credential, operation, object: { kind: 'service' } as const };
      expect(read?.decide(question)).toEqual(asked?.decide(question));
    }
  }
});
