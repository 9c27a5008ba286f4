/** Leaves: canonical, injective, complete, and holding nothing that is not declared. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import canonicalize from 'canonicalize';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { leafBytes, leafText, MAX_LEAF_BYTES } from '../../src/decision-log/leaf.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { CheckResult } from '../../src/domain/decision.ts';
import { type DecisionEntry, EVENT_KINDS, LEAF_VERSION, type LogEntry } from '../../src/domain/log-entry.ts';
import { arbitraryEntries, decisionEntry, eventEntry, fullDecisionEntry } from './entries.ts';

const { tenant: _, ...serviceEvent } = eventEntry(4, { kind: 'service.start', details: { z: 1, a: [null] } });
const base = decisionEntry(5);

const ENTRIES: readonly [string, LogEntry][] = [
  ['an ordinary decision', decisionEntry(1)],
  ['a decision with every field', fullDecisionEntry(2)],
  ['an event', eventEntry(3)],
  ['an event without a tenant', serviceEvent],
  ['a request id with an escape', decisionEntry(6, { request: { ...base.request, requestId: '\\ud800' } })],
  ['layers out of order', decisionEntry(7, { revision: reversedLayers(base.revision) })],
];

const schema = z.fromJSONSchema(readSchema(join(import.meta.dirname, '../../schema/log-entry.schema.json')));

/** Quotes, backslashes, controls, halves of pairs and characters of every length in UTF-8, and ordinary text. */
const arbitraryText = fc.oneof(
  fc.string({
    unit: fc.constantFrom(
      '"',
      '\\',
      '\u0000',
      '\n',
      '\u007f',
      'a',
      '/',
      'é',
      '\u2028',
      '\ud83c',
      '\udf32',
      '\uffff',
    ),
  }),
  fc.string({ unit: 'binary' }),
);

/** What a leaf says of an entry: all its fields, with the entities as an object. */
function leafForm(entry: LogEntry) {
  if (entry.kind !== 'decision') return { ...entry, v: LEAF_VERSION };
  const entities = Object.fromEntries(entry.entities.map(({ entity, revision }) => [entity, revision]));
  return { ...entry, entities, v: LEAF_VERSION };
}

describe('leafText', () => {
  test.each(ENTRIES)('writes %s as RFC 8785 JSON of the entry and its version', (_name, entry) => {
    expect(leafText(entry)).toBe(canonicalize(leafForm(entry)));
  });

  test('writes any text and number in any field as RFC 8785 JSON, or refuses what that cannot hold', () => {
    fc.assert(
      fc.property(
        arbitraryText,
        fc.oneof(fc.maxSafeInteger(), fc.constantFrom(-0, 0.5, 2 ** 53)),
        (text, number) => {
          const entry = filled(text, number);
          const holdable = text.isWellFormed() && Number.isSafeInteger(number);
          expect(writtenOrRefused(entry)).toBe(holdable ? canonicalize(leafForm(entry)) : 'INVALID_REQUEST');
        },
      ),
    );
  });

  test('is injective: two entries have the same leaf only when they are equal', () => {
    fc.assert(
      fc.property(arbitraryEntries, entries => {
        for (const entry of entries) {
          expect(JSON.parse(leafText(entry))).toEqual(leafForm(entry));
        }
        expect(new Set(entries.map(leafText)).size).toBe(entries.length);
      }),
    );
  });

  test('leaves out whatever an entry carries beside its declared fields', () => {
    const secret = { token: 'secret' };
    const entry = fullDecisionEntry(1);
    const { request, reason, revision } = entry;
    const carrying = {
      ...entry,
      ...secret,
      request: { ...request, ...secret, principal: { ...request.principal, ...secret } },
      reason: { ...reason, ...secret },
      revision: { ...revision, ...secret },
    };
    expect(leafText(carrying)).toBe(leafText(entry));
    expect(leafText({ ...eventEntry(1), ...secret })).toBe(leafText(eventEntry(1)));
  });

  test.each<[string, LogEntry]>([
    ['a fraction of a millisecond', decisionEntry(1, { time: 0.5 })],
    [
      'a directory revision beyond 2^53',
      decisionEntry(1, { revision: { ...base.revision, directory: 2 ** 53 } }),
    ],
    [
      'a fraction of a cent',
      decisionEntry(1, { request: { ...base.request, tools: [{ id: 'a', amountCents: 0.1 }] } }),
    ],
    ['a fraction in the context', decisionEntry(1, { request: { ...base.request, context: { a: 0.1 } } })],
    ['half a surrogate pair in an id', decisionEntry(1, { id: '\ud800' })],
    ['half a surrogate pair in the details', eventEntry(1, { details: { a: '\udfff' } })],
  ])('refuses %s', (_name, entry) => {
    expect(() => leafText(entry)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
  });
});

describe('leafBytes', () => {
  test('takes a leaf of the largest size and refuses one byte more', () => {
    const room = MAX_LEAF_BYTES - leafBytes(eventEntry(1, { details: { text: '' } })).length;
    const sized = (length: number) =>
      eventEntry(1, { details: { text: 'é'.repeat(10) + 'x'.repeat(length - 20) } });
    expect(leafBytes(sized(room))).toHaveLength(MAX_LEAF_BYTES);
    expect(() => leafBytes(sized(room + 1))).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
  });
});

describe('leafHash', () => {
  test.each([
    ['', '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'],
    ['L123456', '395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56'],
  ])('of %j is that of RFC 6962', (leaf, expected) => {
    expect(Buffer.from(leafHash(Buffer.from(leaf))).toString('hex')).toBe(expected);
  });
});

describe('schema/log-entry.schema.json', () => {
  test.each(ENTRIES)('describes %s', (_name, entry) => {
    expect(schema.safeParse(JSON.parse(leafText(entry))).error).toBeUndefined();
  });

  test('describes every kind of event', () => {
    for (const kind of EVENT_KINDS) {
      expect(schema.safeParse(JSON.parse(leafText(eventEntry(1, { kind })))).success).toBe(true);
    }
  });

  test.each<[string, object]>([
    ['an unknown field', { extra: 1 }],
    ['an unknown kind', { kind: 'entity.rename' }],
    ['another version', { v: LEAF_VERSION + 1 }],
    ['a fraction', { time: 0.5 }],
  ])('refuses %s', (_name, over) => {
    const leaf: unknown = JSON.parse(leafText(eventEntry(1)));
    expect(schema.safeParse(Object.assign({}, leaf, over)).success).toBe(false);
    const decision: unknown = JSON.parse(leafText(decisionEntry(1)));
    expect(schema.safeParse(Object.assign({}, decision, over)).success).toBe(false);
  });
});

/** The leaf, or the code of the failure. */
function writtenOrRefused(entry: LogEntry): string {
  try {
    return leafText(entry);
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

/** A decision with every field, each free text and number of which is the given one in turn or at once. */
function filled(text: string, number: number): DecisionEntry {
  const full = fullDecisionEntry(1);
  const [check] = full.levels.endpoint?.checks ?? [];
  if (check === undefined) throw new Error('the entry has no check');
  const list = [text, 'z', text];
  const misses = [
    {
      policy: text,
      reason: text,
      missing: text,
      clauses: [{ kind: 'when', text, result: 'true', observed: { [text]: text, a: text } }],
    },
  ] as const;
  const checked: CheckResult = {
    ...check,
    action: text,
    message: text,
    policies: list,
    errors: list,
    resource: text,
    nearMisses: misses.map(miss => ({ ...miss, clauses: [...miss.clauses] })),
  };
  return {
    ...full,
    id: text,
    engine: text,
    pep: text,
    trace: text,
    httpRequestId: text,
    time: number,
    entities: [
      { entity: `e ${text}`, revision: number },
      { entity: 'a', revision: 1 },
      { entity: 'a', revision: 1 },
    ],
    reason: { ...full.reason, message: text, policies: list },
    levels: {
      tenant: { decision: 'deny', checks: [checked, checked] },
      action: { decision: 'allow', checks: [] },
    },
    obligations: [
      { type: text, policy: text },
      { type: 'b', policy: 'a' },
    ],
    revision: { directory: number, schema: text, layers: { 'tenant:z': text, platform: text } },
    request: {
      ...full.request,
      requestId: text,
      principal: { type: text, id: text },
      action: text,
      resource: { type: text, id: text },
      tenant: text,
      principalTenant: text,
      resourceTenant: text,
      partitions: [{ id: text, access: text }],
      tools: [{ id: text, amountCents: number }, { id: text, amountCents: undefined }, { id: text }],
      outputs: [{ id: text, path: text, classification: number }],
      inputHash: text,
      context: { [text]: [text, number, null, true, { [text]: text, b: {}, a: [] }] },
    },
  };
}

function reversedLayers({ layers, ...rest }: typeof base.revision): typeof base.revision {
  return { ...rest, layers: Object.fromEntries(Object.entries(layers).reverse()) };
}

function readSchema(path: string): z.core.JSONSchema.JSONSchema {
  const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
  if (!isSchema(parsed)) throw new Error(`\`${path}\` holds no JSON Schema`);
  return parsed;
}

function isSchema(value: unknown): value is z.core.JSONSchema.JSONSchema {
  return typeof value === 'object' && value !== null && '$schema' in value;
}
