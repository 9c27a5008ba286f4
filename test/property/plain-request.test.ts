/** The quick look at a request against the schema: what it accepts is what the schema makes of the same body. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decisionRequestSchema } from '../../src/domain/decision-request.ts';
import { plainRequest } from '../../src/domain/plain-request.ts';

const RUNS = 4000;

const MINIMAL = {
  principal: { type: 'User', id: 'acme/alice' },
  action: 'generate',
  resource: { type: 'Model', id: 'acme/support-llm' },
};
const FULL = {
  ...MINIMAL,
  requestId: 'r-1',
  tenant: 'acme',
  partitions: [{ id: 'acme/eu', access: 'read' }],
  onBehalfOf: 'acme/bob',
  tools: [{ id: 'acme/refund', amountCents: 100 }, { id: 'acme/search' }],
  outputs: [{ id: 'acme/crm', path: '/a', classification: 2 }],
  input: { classes: ['text'], modality: 'text', tokens: 3, hash: 'sha256:00' },
  params: { maxOutputTokens: 5, stream: true },
  context: { env: 'production', nested: { list: [1, null] } },
  auth: { method: 'jwt', assurance: 2, scopes: ['model:invoke'], keyId: 'k', issuer: 'i' },
  levels: ['endpoint', 'action'],
  explain: 'full',
};

const text = (...lengths: number[]) => fc.constantFrom(...lengths.map(length => 'a'.repeat(length)));
/** Values at and beyond the limits of every member, of every type. */
const anything = fc.oneof(
  { weight: 3, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
  text(0, 1, 63, 64, 65, 128, 129, 255, 256, 257, 1024, 1025),
  fc.constantFrom(
    'read',
    'write',
    'export',
    'endpoint',
    'tenant',
    'action',
    'none',
    'summary',
    'full',
    'é',
    'a b',
  ),
  fc.constantFrom('\n', 'a\n', '"', '\\', '\u007f', 'AI::User', '_x', '0x', '__proto__', '\ud800'),
  fc.constantFrom(
    undefined,
    null,
    true,
    0,
    -0,
    -1,
    1.5,
    3,
    4,
    2 ** 53 - 1,
    2 ** 53,
    -(2 ** 53),
    Infinity,
    NaN,
  ),
  fc.integer({ min: 0, max: 66 }).map(length => Array.from({ length }, () => 'x')),
  fc.integer({ min: 0, max: 34 }).map(length => Array.from({ length }, () => ({ id: 'x' }))),
  fc.integer({ min: 0, max: 4 }).map(length => Array.from({ length }, () => 'endpoint')),
);
const memberNames = fc.constantFrom(
  ...new Set([
    ...Object.keys(FULL),
    ...Object.values(FULL).flatMap(namesIn),
    'via',
    'constructor',
    'toString',
  ]),
);

function namesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(namesIn);
  return typeof value === 'object' && value !== null ? Object.keys(value) : [];
}

/** A copy in which the object or list that the path leads to has one member set or removed. */
function mutate(
  value: unknown,
  path: readonly number[],
  name: string,
  change: { set: unknown } | 'remove',
): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const entries: [string, unknown][] = Object.entries(value);
  const [step, ...rest] = path;
  if (step !== undefined && entries.length > 0) {
    const [key, inner] = entries[step % entries.length] ?? ['', undefined];
    return put(value, key, mutate(inner, rest, name, change));
  }
  if (change === 'remove') return put(value, entries[name.length % (entries.length || 1)]?.[0] ?? name);
  return put(value, Array.isArray(value) ? '0' : name, change.set);
}

function put(container: object, key: string, value?: unknown): unknown {
  if (Array.isArray(container))
    return container.map((item: unknown, at) => (String(at) === key ? value : item));
  const rest = Object.entries(container).filter(([name]) => name !== key);
  return Object.fromEntries(value === undefined ? rest : [...rest, [key, value]]);
}

const mutation = fc.record({
  path: fc.array(fc.nat(20), { maxLength: 3 }),
  name: memberNames,
  change: fc.oneof({ weight: 4, arbitrary: fc.record({ set: anything }) }, fc.constant('remove' as const)),
});
const body = fc
  .record({ base: fc.constantFrom<object>(MINIMAL, FULL), mutations: fc.array(mutation, { maxLength: 3 }) })
  .map(({ base, mutations }) =>
    mutations.reduce<unknown>((value, { path, name, change }) => mutate(value, path, name, change), base),
  );

describe('the quick look', () => {
  test('accepts nothing that the schema refuses, and makes the same of it', () => {
    let [accepted, refused] = [0, 0];
    fc.assert(
      fc.property(body, value => {
        const parsed = decisionRequestSchema.safeParse(value);
        const plain = plainRequest(value);
        if (!parsed.success) refused += 1;
        if (plain === undefined) return;
        accepted += 1;
        expect(parsed.error).toBeUndefined();
        expect(plain).toStrictEqual(parsed.data);
      }),
      { numRuns: RUNS },
    );
    // both sides of the border were visited
    expect(accepted).toBeGreaterThan(RUNS / 20);
    expect(refused).toBeGreaterThan(RUNS / 20);
  });

  test('accepts what the schema accepts, but for `via` and the default of `access`', () => {
    fc.assert(
      fc.property(body, value => {
        const parsed = decisionRequestSchema.safeParse(value);
        if (!parsed.success || parsed.data.via !== undefined) return;
        expect(plainRequest(value) !== undefined).toBe(everyAccessIsGiven(value));
      }),
      { numRuns: RUNS },
    );
  });

  test.each([
    ['the smallest request', MINIMAL],
    ['one with every member', FULL],
  ])('accepts %s', (_name, value) => {
    expect(plainRequest(value)).toStrictEqual(decisionRequestSchema.parse(value));
  });

  test.each([[null], [undefined], [1], ['text'], [[]], [[MINIMAL]], [{}]])(
    'leaves %j to the schema',
    value => {
      expect(plainRequest(value)).toBeUndefined();
    },
  );
});

function everyAccessIsGiven(value: unknown): boolean {
  const holder = typeof value === 'object' && value !== null && 'partitions' in value ? value.partitions : [];
  return (
    Array.isArray(holder) &&
    holder.every(item => typeof item === 'object' && item !== null && 'access' in item)
  );
}
