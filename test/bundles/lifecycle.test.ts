/** Push, activate, roll back: every operation in every state, and what each leaves behind. */
import { afterAll, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/bundle.ts';
import { AppError } from '../../src/domain/errors.ts';
import {
  ADMIN,
  credential,
  deciding,
  failure,
  memoryDisk,
  type Pap,
  permit,
  push,
  SHIPPED_SCHEMA,
  startPap,
  startWorker,
} from './pap.ts';

const thread = startWorker();
afterAll(() => thread.close());

const V1 = { layer: 'tenant:acme', version: '1', files: { 'policies/a.cedar': permit('a', 'acme') } };
const V2 = { ...V1, version: '2' };
const LAYER = 'tenant:acme';
const UNKNOWN: Digest = `sha256:${'0'.repeat(64)}`;
const BROKEN = {
  layer: LAYER,
  version: '9',
  files: { 'policies/a.cedar': 'permit (principal, action, resource);' },
};

function start(): Promise<Pap> {
  return startPap(memoryDisk(), thread);
}

/** The states of a layer, and how to get there. The last push is the subject of the operations. */
const STATES = {
  empty: () => Promise.resolve(UNKNOWN),
  staged: async (pap: Pap) => (await push(pap, V1)).digest,
  active: async (pap: Pap) => (await push(pap, V1, { activate: true })).digest,
  replaced: async (pap: Pap) => {
    const { digest } = await push(pap, V1, { activate: true });
    await push(pap, V2, { activate: true });
    return digest;
  },
  'rolled back': async (pap: Pap) => {
    const { digest } = await push(pap, V1, { activate: true });
    await push(pap, V2, { activate: true });
    await pap.service.rollback(LAYER, 'test', ADMIN);
    return digest;
  },
} as const;

const OPERATIONS = {
  'push again': async (pap: Pap) => {
    const { state, isNew } = await push(pap, V1);
    return `${state}${isNew ? ' new' : ''}`;
  },
  activate: async (pap: Pap, digest: Digest) =>
    (await pap.service.activate(digest, { reason: 'r' }, ADMIN)).kind,
  'activate expecting nothing': async (pap: Pap, digest: Digest) =>
    (await pap.service.activate(digest, { reason: 'r', expectedActive: null }, ADMIN)).kind,
  'activate expecting itself': async (pap: Pap, digest: Digest) =>
    (await pap.service.activate(digest, { reason: 'r', expectedActive: digest }, ADMIN)).kind,
  'roll back': async (pap: Pap) => (await pap.service.rollback(LAYER, 'r', ADMIN)).kind,
  get: async (pap: Pap, digest: Digest) => (await pap.service.get(digest, ADMIN)).state,
  history: async (pap: Pap) => String((await pap.service.history(LAYER, 10, ADMIN)).length),
} as const;

type State = keyof typeof STATES;
type Operation = keyof typeof OPERATIONS;

const EXPECTED: Record<Operation, Record<State, string>> = {
  'push again': {
    empty: 'staged new',
    staged: 'staged',
    active: 'active',
    replaced: 'staged',
    'rolled back': 'active',
  },
  activate: {
    empty: 'NOT_FOUND',
    staged: 'activate',
    active: 'activate',
    replaced: 'activate',
    'rolled back': 'rollback',
  },
  'activate expecting nothing': {
    empty: 'NOT_FOUND',
    staged: 'activate',
    active: 'ACTIVATION_CONFLICT',
    replaced: 'ACTIVATION_CONFLICT',
    'rolled back': 'ACTIVATION_CONFLICT',
  },
  'activate expecting itself': {
    empty: 'NOT_FOUND',
    staged: 'ACTIVATION_CONFLICT',
    active: 'activate',
    replaced: 'ACTIVATION_CONFLICT',
    'rolled back': 'rollback',
  },
  'roll back': {
    empty: 'NOT_FOUND',
    staged: 'NOT_FOUND',
    active: 'NOTHING_TO_ROLL_BACK',
    replaced: 'rollback',
    'rolled back': 'rollback',
  },
  get: {
    empty: 'NOT_FOUND',
    staged: 'staged',
    active: 'active',
    replaced: 'staged',
    'rolled back': 'active',
  },
  history: { empty: 'NOT_FOUND', staged: 'NOT_FOUND', active: '1', replaced: '2', 'rolled back': '3' },
};

const MATRIX = Object.entries(OPERATIONS).flatMap(([operation, run]) =>
  Object.entries(STATES).map(([state, enter]) => ({ operation, state, run, enter })),
);

function expectedOf(operation: string, state: string): string | undefined {
  const row = Object.entries(EXPECTED).find(([name]) => name === operation)?.[1];
  return Object.entries(row ?? {}).find(([name]) => name === state)?.[1];
}

/** The code of an AppError; anything else fails the test. */
function codeOf(error: unknown): string {
  if (error instanceof AppError) return error.code;
  throw error;
}

describe('every operation in every state of a layer', () => {
  test.each(MATRIX)('$operation when $state', async ({ operation, state, run, enter }) => {
    const pap = await start();
    const digest = await enter(pap);
    const before = deciding(pap);
    const result = await run(pap, digest).catch(codeOf);
    expect(result).toBe(expectedOf(operation, state));
    const recorded = await pap.store.active();
    expect(deciding(pap)).toEqual(Object.fromEntries(recorded.map(({ layer, digest }) => [layer, digest])));
    const isRefused = /^[A-Z_]+$/.test(result);
    expect(isRefused ? deciding(pap) : before).toEqual(before);
  });
});

describe('push', () => {
  test('stores the bundle with its report, author and archive, and logs it', async () => {
    const pap = await start();
    const { digest, report, state, isNew } = await push(pap, V1, {}, credential(['author']));
    expect({ state, isNew }).toEqual({ state: 'staged', isNew: true });
    expect(report).toMatchObject({ policies: 1, tests: { passed: 0, failed: 0 } });
    expect(report.warnings.map(({ message }) => message)).toEqual(['the bundle has no tests']);
    const stored = await pap.service.get(digest, ADMIN);
    expect(stored).toMatchObject({ pushedBy: 'key-author', files: V1.files, state: 'staged' });
    expect(pap.events).toMatchObject([
      {
        kind: 'bundle.push',
        actor: 'key-author',
        tenant: 'acme',
        subject: digest,
        details: { layer: LAYER, version: '1', policies: 1, tests: 0 },
      },
    ]);
    const again = await pap.service.push(
      { form: 'tar', body: stored.archive, dryRun: false, activate: false },
      ADMIN,
    );
    expect(again).toMatchObject({ digest, isNew: false });
    expect(pap.events).toHaveLength(1);
  });

  test('a dry run checks and leaves nothing behind, whether it passes or fails', async () => {
    const pap = await start();
    expect(await push(pap, V1, { dryRun: true, activate: true })).toMatchObject({ state: 'checked' });
    expect((await failure(push(pap, BROKEN, { dryRun: true }))).code).toBe('BUNDLE_INVALID');
    expect((await pap.service.list({ limit: 10 }, ADMIN)).items).toEqual([]);
    expect(pap.events).toEqual([]);
  });

  test('a dry run of content that is stored is checked beside what is active now', async () => {
    const pap = await start();
    const narrow = SHIPPED_SCHEMA.replace('    tier: String,\n', '');
    const staged = {
      ...V1,
      files: { 'policies/a.cedar': permit('a', 'acme', ' when { principal.tier == "x" }') },
    };
    await push(pap, staged);
    expect((await push(pap, staged, { dryRun: true })).isNew).toBe(false);
    await push(pap, { layer: 'platform', files: { 'schema.cedarschema': narrow } }, { activate: true });
    expect((await failure(push(pap, staged, { dryRun: true }))).code).toBe('BUNDLE_INVALID');
  });

  test('a refusal that cannot be logged fails as such, and changes nothing either', async () => {
    const pap = await start();
    pap.failRecord();
    expect((await failure(push(pap, BROKEN))).code).toBe('LOG_UNAVAILABLE');
    expect((await pap.service.list({ limit: 10 }, ADMIN)).items).toEqual([]);
  });

  test('a refused bundle changes nothing but the log', async () => {
    const pap = await start();
    const { digest } = await push(pap, V1, { activate: true });
    const error = await failure(push(pap, BROKEN, { activate: true }, credential(['author', 'approver'])));
    expect(error.code).toBe('BUNDLE_INVALID');
    expect(error.problems[0]).toMatchObject({ file: 'policies/a.cedar', line: 1, column: 1 });
    expect((await pap.service.list({ limit: 10 }, ADMIN)).items.map(item => item.digest)).toEqual([digest]);
    expect(deciding(pap)).toEqual({ [LAYER]: digest });
    const [first, ...others] = pap.events.slice(2);
    expect(others).toEqual([]);
    expect(first).toMatchObject({
      kind: 'bundle.reject',
      actor: 'key-author-approver',
      tenant: 'acme',
      details: { layer: LAYER, version: '9', code: 'BUNDLE_INVALID' },
    });
    expect(first?.details['places']).toContain('policies/a.cedar:1:1');
  });

  test('an unreadable push is logged without a layer', async () => {
    const pap = await start();
    const error = await failure(
      pap.service.push({ form: 'tar', body: Buffer.from('x'), dryRun: false, activate: false }, ADMIN),
    );
    expect(error.code).toBe('BUNDLE_INVALID');
    expect(pap.events).toMatchObject([{ kind: 'bundle.reject', subject: 'unreadable' }]);
  });

  test('activating at push takes the role approver, and is refused before anything is done', async () => {
    const pap = await start();
    expect((await failure(push(pap, V1, { activate: true }, credential(['author'])))).code).toBe(
      'ROLE_REQUIRED',
    );
    expect((await pap.service.list({ limit: 10 }, ADMIN)).items).toEqual([]);
  });

  test('of the same content by two at once stores it once', async () => {
    const pap = await start();
    const results = await Promise.all([push(pap, V1), push(pap, V1), push(pap, V1)]);
    expect(results.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(pap.events.map(({ kind }) => kind)).toEqual(['bundle.push']);
  });

  test('a platform bundle without a schema gets the shipped one, and its digest names it', async () => {
    const pap = await start();
    const { digest } = await push(pap, { layer: 'platform', files: {} });
    const { files } = await pap.service.get(digest, ADMIN);
    expect(files['schema.cedarschema']).toContain('namespace AI');
  });
});

describe('activate', () => {
  test('lets one of two racing activations win, and tells the other', async () => {
    const pap = await start();
    const digests = [(await push(pap, V1)).digest, (await push(pap, V2)).digest];
    const results = await Promise.allSettled(
      digests.map(digest => pap.service.activate(digest, { reason: 'race', expectedActive: null }, ADMIN)),
    );
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect(results[1]).toMatchObject({ reason: { code: 'ACTIVATION_CONFLICT' } });
    expect(deciding(pap)).toEqual({ [LAYER]: digests[0] });
  });

  test('lets exactly one of two services on one store win', async () => {
    const disk = memoryDisk();
    const one = await startPap(disk, thread);
    const other = await startPap(disk, thread);
    const first = (await push(one, V1)).digest;
    const second = (await push(other, V2)).digest;
    await one.service.activate(first, { reason: 'a', expectedActive: null }, ADMIN);
    const error = await failure(other.service.activate(second, { reason: 'b', expectedActive: null }, ADMIN));
    expect(error.code).toBe('ACTIVATION_CONFLICT');
    // the loser now decides by what the winner activated
    expect(deciding(other)).toEqual({ [LAYER]: first });
  });

  test('names what was active before, and who did it and why', async () => {
    const pap = await start();
    const first = (await push(pap, V1, { activate: true })).digest;
    const second = (await push(pap, V2)).digest;
    const activation = await pap.service.activate(second, { reason: 'ticket 7' }, credential(['approver']));
    expect(activation).toMatchObject({
      digest: second,
      previous: first,
      actor: 'key-approver',
      reason: 'ticket 7',
    });
    expect(pap.events.at(-1)).toMatchObject({
      kind: 'bundle.activate',
      actor: 'key-approver',
      subject: LAYER,
      details: { digest: second, previous: first, reason: 'ticket 7' },
    });
    expect(pap.service.layers(ADMIN)).toMatchObject([{ layer: LAYER, active: { digest: second } }]);
  });

  test('rolling back is a new activation of the earlier bundle', async () => {
    const pap = await start();
    const first = (await push(pap, V1, { activate: true })).digest;
    const second = (await push(pap, V2, { activate: true })).digest;
    const activation = await pap.service.rollback(LAYER, 'too strict', ADMIN);
    expect(activation).toMatchObject({ digest: first, previous: second, kind: 'rollback', sequence: 3 });
    expect(deciding(pap)).toEqual({ [LAYER]: first });
    expect(pap.events.at(-1)).toMatchObject({
      kind: 'bundle.rollback',
      details: { digest: first, previous: second },
    });
  });
});
