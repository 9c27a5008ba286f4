/** Leaves: canonical, injective, complete, and holding nothing that is not declared. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import canonicalize from 'canonicalize';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { entryView, NOTHING_OPENED, pseudonymsIn } from '../../src/decision-log/entry-view.ts';
import { checkEvent, MAX_LEAF_BYTES, writeLeaf } from '../../src/decision-log/leaf.ts';
import { completed } from './completed-leaf.ts';
import { parseLeaf } from '../../src/decision-log/logged-leaf.ts';
import { timestamp } from '../../src/domain/clock.ts';
import { EntityUid } from '../../src/domain/value.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { CheckResult } from '../../src/domain/decision.ts';
import { type DecisionEntry, EVENT_KINDS, LEAF_VERSION, type LogEntry } from '../../src/domain/log-entry.ts';
import {
  arbitraryEntries,
  decisionEntry,
  eventEntry,
  fullDecisionEntry,
  limitResult,
  requestOf,
} from './entries.ts';
import { pseudonymOf, testPrivacy } from './test-privacy.ts';

const { tenant: _, ...serviceEvent } = eventEntry(4, { kind: 'service.start', details: { z: 1, a: [null] } });
const base = decisionEntry(5);
const DIGEST = `sha256:${'a'.repeat(64)}`;
const ALICE = pseudonymOf('AI::User::"acme/alice"');

const ENTRIES: readonly [string, LogEntry][] = [
  ['an ordinary decision', decisionEntry(1)],
  ['a decision with every field', fullDecisionEntry(2)],
  ['an event', eventEntry(3)],
  ['an event without a tenant', serviceEvent],
  ['a request id with an escape', decisionEntry(6, { request: requestOf({ requestId: '\\ud800' }) })],
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

const leafText = (entry: LogEntry): string => completed(writeLeaf(entry, testPrivacy())).text;

/** The view of an entry's leaf for someone who may see everything. */
function viewOf(entry: LogEntry) {
  const privacy = testPrivacy();
  const { text, disclosures } = completed(writeLeaf(entry, privacy));
  const leaf = parseLeaf(text);
  return entryView(leaf, {
    subjects: new Map(pseudonymsIn(leaf).map(pseudonym => [pseudonym, privacy.idOf(pseudonym)])),
    disclosures,
  });
}

/** What a full view says of an entry. */
function viewForm(entry: LogEntry) {
  if (entry.kind !== 'decision') return { ...entry, v: LEAF_VERSION };
  const { request: logged, reason, trace, httpRequestId, ...rest } = entry;
  const { asked, tenant, defaultEnv, principalTenant, resourceTenant } = logged;
  const { auth, via, onBehalfOf, input, params, context, tenant: _asked, ...request } = asked;
  const { hash: _hash, ...described } = input ?? {};
  return defined({
    ...rest,
    trace,
    httpRequestId,
    limits: entry.limits?.map(({ name, unit, limit, reserved, remaining, mode, violated, degraded }) =>
      defined({ name, unit, limit, reserved, remaining, mode, violated, degraded }),
    ),
    v: LEAF_VERSION,
    entities: Object.fromEntries(entry.entities.map(({ entity, revision }) => [entity.key, revision])),
    reason: { code: reason.code, level: reason.level },
    request: defined({
      ...request,
      tenant,
      principalTenant: principalTenant === tenant ? undefined : principalTenant,
      resourceTenant,
      context: defined({
        env: defaultEnv,
        ...context,
        now: timestamp(entry.time),
        auth: auth ?? { method: 'asserted', assurance: 0, scopes: [] },
        input: { classes: [], modality: 'text', tokens: 0, ...described },
        params: { maxOutputTokens: 0, stream: false, ...params },
        onBehalfOf,
        via,
      }),
    }),
  });
}

/** Without the members that are undefined. */
function defined(object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

describe('a leaf', () => {
  test('of an ordinary decision is this text', () => {
    expect(leafText(decisionEntry(1))).toBe(
      `{"decision":"allow","engine":"compiled/1+cedar-4.13.0","entities":[["AI::User","${ALICE}",118],` +
        '["AI::Model","acme/support-llm",3]],"id":"0192f3a4-1111-7abc-8def-000000000001","kind":"decision",' +
        '"levels":{"action":[{"action":"generate","code":"POLICY_ALLOW","policies":["tenant:acme/acme.data-scientist"]}],' +
        '"endpoint":[{"action":"invoke","code":"POLICY_ALLOW","policies":["tenant:acme/acme.data-scientist"]}],' +
        '"tenant":[{"action":"useTenant","code":"POLICY_ALLOW","policies":["tenant:acme/acme.data-scientist"]}]},' +
        '"pep":"k-gateway","reason":{"code":"POLICY_ALLOW","level":"action","message":"data scientists use the models of their tenant"},' +
        '"request":{"action":"generate","auth":{"assurance":2,"method":"jwt","scopes":["model:invoke"]},"env":"production",' +
        `"input":{"classes":["text"],"modality":"text","tokens":812},"principal":{"id":"${ALICE}","type":"User"},` +
        '"resource":{"id":"acme/support-llm","type":"Model"},"tenant":"acme"},' +
        `"revision":{"directory":118,"layers":{"platform":"${DIGEST}","tenant:acme":"${DIGEST}"},"schema":"${DIGEST}"},` +
        '"time":1767225600001,"v":2}',
    );
  });

  test.each(ENTRIES)('of %s is canonical JSON (RFC 8785)', (_name, entry) => {
    const text = leafText(entry);
    expect(text).toBe(canonicalize(JSON.parse(text)));
  });

  test('with any text and number in any field is canonical JSON, or is refused where that cannot hold it', () => {
    fc.assert(
      fc.property(
        arbitraryText,
        fc.oneof(fc.maxSafeInteger(), fc.constantFrom(-0, 0.5, 2 ** 53)),
        (text, number) => {
          const written = writtenOrRefused(filled(text, number));
          const holdable = text.isWellFormed() && Number.isSafeInteger(number);
          expect(written).toBe(holdable ? canonicalize(JSON.parse(written)) : 'INVALID_REQUEST');
        },
      ),
    );
  });

  test('is injective: the view of a leaf says what the entry said, and no two entries have one leaf', () => {
    fc.assert(
      fc.property(arbitraryEntries, entries => {
        for (const entry of entries) {
          expect(viewOf(entry)).toMatchObject(comparable(entry));
        }
        expect(new Set(entries.map(leafText)).size).toBe(entries.length);
      }),
    );
  });

  test.each(ENTRIES)('of %s, viewed, says everything that the entry said', (_name, entry) => {
    expect(viewOf(entry)).toMatchObject(comparable(entry));
  });

  test('names no principal, agent or personal value', () => {
    const text = leafText(fullDecisionEntry(1));
    for (const clear of ['acme/copilot', 'acme/planner', '10.1.2.3', 'observed', 'dev']) {
      expect(text).not.toContain(clear);
    }
    expect(leafText(eventEntry(1, { subject: 'AI::User::"acme/alice"' }))).not.toContain('alice');
    const asResource = decisionEntry(2, {
      request: requestOf({ resource: { type: 'Agent', id: 'acme/bot' } }),
    });
    expect(leafText(asResource)).not.toContain('acme/bot');
  });

  test('holds the hash of an input as a keyed digest alone', () => {
    const { request } = z
      .object({ request: z.looseObject({}) })
      .parse(JSON.parse(leafText(fullDecisionEntry(1))));
    expect(request).toMatchObject({ input: { tokens: 3 }, inputDigest: { kid: 'acme/2026-01' } });
    expect(leafText(fullDecisionEntry(1))).not.toContain(`"hash"`);
  });

  test('keeps no opening where no subject could ever have it erased', () => {
    const privacy = { ...testPrivacy(), subject: () => undefined };
    const entry = decisionEntry(1, { request: requestOf({ context: { ip: '10.1.2.3' } }) });
    const { text, sealed } = completed(writeLeaf(entry, privacy));
    expect(sealed).toBeUndefined();
    expect(text).toContain('"context":{"_sd":["');
  });

  test('commits to a value given under the name of the digests, so that none can be forged', () => {
    const entry = decisionEntry(1, { request: requestOf({ context: { _sd: ['forged'] } }) });
    expect(leafText(entry)).not.toContain('forged');
    expect(viewOf(entry)).toMatchObject({ request: { context: { _sd: ['forged'] } } });
  });

  test('after erasure shows pseudonyms and digests, and everything else as before', () => {
    const leaf = parseLeaf(leafText(fullDecisionEntry(1)));
    const view = entryView(leaf, NOTHING_OPENED);
    const { request } = z
      .object({
        request: z.looseObject({ principal: z.object({ id: z.string() }), context: z.looseObject({}) }),
      })
      .parse(view);
    expect(request.principal.id).toMatch(/^p:/);
    expect(request.context).toMatchObject({ _sd: [expect.any(String)], zeta: [true, null, -1] });
    expect(request.context).not.toHaveProperty('ip');
  });

  test('leaves out whatever an entry carries beside its declared fields', () => {
    const secret = { token: 'secret' };
    const entry = decisionEntry(1);
    const { request, reason, revision } = entry;
    const carrying = {
      ...entry,
      ...secret,
      request: {
        ...request,
        ...secret,
        asked: {
          ...request.asked,
          ...secret,
          principal: { ...request.asked.principal, ...secret },
          input: { ...request.asked.input, content: 'secret' },
        },
      },
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
      decisionEntry(1, { request: requestOf({ tools: [{ id: 'a', amountCents: 0.1 }] }) }),
    ],
    ['a fraction in the context', decisionEntry(1, { request: requestOf({ context: { a: 0.1 } }) })],
    ['half a surrogate pair in an id', decisionEntry(1, { id: '\ud800' })],
    ['half a surrogate pair in the details', eventEntry(1, { details: { a: '\udfff' } })],
  ])('refuses %s', (_name, entry) => {
    expect(() => leafText(entry)).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
  });
});

describe('checkEvent', () => {
  test('takes an event that a leaf can hold and refuses one that is too long', () => {
    const sized = (length: number) => eventEntry(1, { details: { text: 'x'.repeat(length) } });
    const room = MAX_LEAF_BYTES - 64 - 96 - Buffer.byteLength(leafText(sized(0)));
    checkEvent(sized(room));
    const stores = { state: Number.MAX_SAFE_INTEGER, subjects: Number.MAX_SAFE_INTEGER };
    expect(leafText({ ...sized(room), stores }).length).toBeLessThanOrEqual(MAX_LEAF_BYTES - 64);
    expect(() => checkEvent(sized(room + 64))).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
  });
});

/** The parts of a view that its entry determines word for word; messages of checks follow from codes. */
function comparable(entry: LogEntry): object {
  const { levels: _levels, ...form } = { levels: undefined, ...viewForm(entry) };
  return form;
}

describe('schema/log-entry.schema.json', () => {
  test.each(ENTRIES)('describes %s', (_name, entry) => {
    expect(schema.safeParse(JSON.parse(leafText(entry))).error).toBeUndefined();
  });

  test('describes every kind of event', () => {
    for (const kind of EVENT_KINDS) {
      const entry = eventEntry(1, { kind, stores: { state: 1, subjects: 0 } });
      expect(schema.safeParse(JSON.parse(leafText(entry))).success).toBe(true);
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
      { entity: new EntityUid(`e ${text}`, text), revision: number },
      { entity: new EntityUid('a', 'b'), revision: 1 },
    ],
    reason: { ...full.reason, message: text, policies: list },
    levels: {
      tenant: { decision: 'deny', checks: [checked, checked] },
      action: { decision: 'allow', checks: [] },
    },
    limits: [limitResult({ name: text, limit: number, reserved: number, remaining: number })],
    obligations: [
      { type: text, policy: text },
      { type: 'b', policy: 'a' },
    ],
    revision: { directory: number, schema: text, layers: { 'tenant:z': text, platform: text } },
    request: {
      ...full.request,
      tenant: text,
      defaultEnv: text,
      principalTenant: `${text}!`,
      resourceTenant: text,
      asked: {
        requestId: text,
        principal: { type: text, id: text },
        action: text,
        resource: { type: text, id: text },
        onBehalfOf: text,
        via: {
          agent: text,
          chain: list,
          depth: number,
          scopes: list,
          expires: text,
          humanApproved: true,
        },
        auth: { method: text, assurance: number, scopes: list, keyId: text, issuer: text },
        partitions: [{ id: text, access: 'read' }],
        tools: [{ id: text, amountCents: number }, { id: text }],
        outputs: [{ id: text, path: text, classification: number }],
        input: { classes: list, modality: text, tokens: number, hash: text },
        params: { maxOutputTokens: number, stream: true },
        context: { [text]: [text, number, null, true, { [text]: text, b: {}, a: [] }], ip: text },
      },
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
