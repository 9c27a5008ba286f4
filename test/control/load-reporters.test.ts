/** Who may report what load: by role, by tenant, and by the policy of docs/limits.md that narrows a key to one model. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SERVICE } from '../../src/control/question.ts';
import { keyWith, replacedPlane, shippedPlane } from './shipped-control.ts';

const ROOT = join(import.meta.dirname, '../..');
const SHIPPED = ['everyone', 'roles'].map(name =>
  readFileSync(join(ROOT, 'policies/control', `${name}.cedar`), 'utf8'),
);
const KEY = '2fQmAbCdEfGhIjKl';

function about(id: string, tenant: string | undefined = id.split('/')[0]) {
  return { kind: 'entity', ref: { type: 'Model', id }, tenant } as const;
}

/** The policy that stands in the document, for our key. */
function documented(): string {
  const text = readFileSync(join(ROOT, 'docs/limits.md'), 'utf8');
  const [, policy] = /```cedar\n(@id\("reporter\.support"\)[\s\S]*?)```/.exec(text) ?? [];
  if (policy === undefined) throw new Error('the document has no such policy');
  return policy.replace('2fQm…', KEY);
}

describe('a key of the role `load`', () => {
  const plane = shippedPlane();
  const may = (tenants: readonly string[] | undefined, id: string, tenant?: string): boolean => {
    const credential = keyWith(['load'], tenants === undefined ? {} : { tenants });
    return plane.decide({ credential, operation: 'reportLoad', object: about(id, tenant) }).allowed;
  };

  test.each([
    ['without tenants reports for every model', undefined, 'acme/m', true],
    ['reports for models of its tenants', ['acme'], 'acme/m', true],
    ['does not report for those of another tenant', ['acme'], 'globex/m', false],
  ])('%s', (_, tenants, id, allowed) => expect(may(tenants, id)).toBe(allowed));

  test('that is limited to tenants does not report for models of the platform', () => {
    const credential = keyWith(['load'], { tenants: ['acme'] });
    const object = { kind: 'entity', ref: { type: 'Model', id: 'shared' }, tenant: undefined } as const;
    expect(plane.decide({ credential, operation: 'reportLoad', object }).allowed).toBe(false);
  });
});

test('the policy of the document narrows a key to one model, and no other key', () => {
  const plane = replacedPlane([...SHIPPED, documented()].join('\n'));
  const may = (keyId: string, object: Parameters<typeof plane.decide>[0]['object']): boolean =>
    plane.decide({ credential: keyWith(['load'], { keyId }), operation: 'reportLoad', object }).allowed;
  expect(may(KEY, SERVICE)).toBe(true);
  expect(may(KEY, about('acme/support-llm'))).toBe(true);
  expect(may(KEY, about('acme/research-llm'))).toBe(false);
  expect(may('another', about('acme/research-llm'))).toBe(true);
});
