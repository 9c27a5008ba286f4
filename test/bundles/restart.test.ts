/** After a restart the same bundles decide; a store that fails or lies never widens what is allowed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { BundleStore } from '../../src/bundles/ports.ts';
import type { StoredBundle } from '../../src/domain/bundle.ts';
import type { DirectoryStore } from '../../src/directory/ports.ts';
import { AppError } from '../../src/domain/errors.ts';
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import {
  ADMIN,
  deciding,
  type Disk,
  failure,
  memoryDisk,
  type Pap,
  permit,
  push,
  SHIPPED_SCHEMA,
  startPap,
  startWorker,
  type StoreCall,
} from './pap.ts';

const thread = startWorker();
afterAll(() => thread.close());

const WIDER = SHIPPED_SCHEMA.replace('clearance: Long,', 'clearance: Long,\n    badge?: String,');
const LAYER = 'tenant:acme';
const V1 = {
  layer: LAYER,
  version: '1',
  files: { 'policies/a.cedar': permit('a', 'acme', ' when { principal has badge }') },
};
const V2 = { ...V1, version: '2' };

async function fill(pap: Pap): Promise<void> {
  await push(pap, { layer: 'platform', files: { 'schema.cedarschema': WIDER } }, { activate: true });
  await push(pap, V1, { activate: true });
  await push(pap, V2, { activate: true });
  await pap.service.rollback(LAYER, 'r', ADMIN);
  await push(pap, { layer: 'tenant:globex', files: { 'policies/a.cedar': permit('a', 'globex') } });
}

/** Runs a test over a disk that can be opened again. */
type Backend = (use: (open: () => Promise<Disk>) => Promise<void>) => Promise<void>;

const BACKENDS: readonly (readonly [string, Backend])[] = [
  [
    'memory',
    async use => {
      const disk = memoryDisk();
      await use(() => Promise.resolve(disk));
    },
  ],
  [
    'sqlite',
    async use => {
      const folder = await mkdtemp(join(tmpdir(), 'duramen-bundles-'));
      let store: StateStore | undefined;
      try {
        await use(async () => {
          await store?.close();
          store = await StateStore.open({ folder, at: '2026-01-01T00:00:00.000Z' });
          return store;
        });
      } finally {
        await store?.close();
        await rm(folder, { recursive: true });
      }
    },
  ],
];

describe.each(BACKENDS)('over %s', (_, withDisk) => {
  test('a restart brings back the same bundles, schema and states', async () => {
    await withDisk(async open => {
      const before = await startPap(await open(), thread);
      await fill(before);
      const digests = deciding(before);
      const list = await before.service.list({ limit: 10 }, ADMIN);
      const after = await startPap(await open(), thread);
      expect(deciding(after)).toEqual(digests);
      expect(Object.keys(digests)).toEqual(['platform', LAYER]);
      expect(after.snapshots.current?.schema.text).toBe(WIDER);
      expect(await after.service.list({ limit: 10 }, ADMIN)).toEqual(list);
      expect(await after.service.rollback(LAYER, 'r', ADMIN)).toMatchObject({ kind: 'rollback' });
    });
  });

  test('the archive comes back byte for byte', async () => {
    await withDisk(async open => {
      const { digest } = await push(await startPap(await open(), thread), { layer: LAYER });
      const first = await (await startPap(await open(), thread)).service.get(digest, ADMIN);
      const again = await (await startPap(await open(), thread)).service.get(digest, ADMIN);
      expect(Buffer.compare(first.archive, again.archive)).toBe(0);
      expect(first.archive.length).toBeGreaterThan(100);
    });
  });
});

describe('a store that failed', () => {
  const twins: readonly (readonly [StoreCall, 'before' | 'after'])[] = [
    ['put', 'before'],
    ['put', 'after'],
    ['get', 'before'],
  ];
  test.each(twins)('%s %s its work: the push fails, and a second one finds the truth', async (call, when) => {
    const pap = await startPap(memoryDisk(), thread);
    await push(pap, { layer: 'platform', files: { 'schema.cedarschema': WIDER } }, { activate: true });
    const before = deciding(pap);
    pap.store.fail(call, when);
    expect((await failure(push(pap, V1, { activate: true }))).code).toBe('STORE_UNAVAILABLE');
    expect(deciding(pap)).toEqual(before);
    expect(await push(pap, V1, { activate: true })).toMatchObject({
      state: 'active',
      isNew: when === 'before',
    });
  });

  const reads: readonly (readonly [StoreCall, (pap: Pap) => Promise<unknown>])[] = [
    ['list', pap => pap.service.list({ limit: 1 }, ADMIN)],
    ['history', pap => pap.service.history(LAYER, 1, ADMIN)],
    ['get', pap => pap.service.rollback(LAYER, 'r', ADMIN)],
    ['active', pap => pap.service.rollback(LAYER, 'r', ADMIN)],
  ];
  test.each(reads)('%s: the call fails, what decides stays, and the next call works', async (call, run) => {
    const pap = await startPap(memoryDisk(), thread);
    await fill(pap);
    const before = deciding(pap);
    pap.store.fail(call, 'before');
    expect((await failure(run(pap))).code).toBe('STORE_UNAVAILABLE');
    expect(deciding(pap)).toEqual(before);
    await run(pap);
  });

  test('before recording an activation: the old bundle decides, now and after a restart', async () => {
    const disk = memoryDisk();
    const pap = await startPap(disk, thread);
    await fill(pap);
    const before = deciding(pap);
    pap.store.fail('activate', 'before');
    expect((await failure(pap.service.rollback(LAYER, 'r', ADMIN))).code).toBe('STORE_UNAVAILABLE');
    expect(deciding(pap)).toEqual(before);
    expect(deciding(await startPap(disk, thread))).toEqual(before);
  });

  test('after recording an activation: the new bundle decides at once, and is answered as success', async () => {
    const disk = memoryDisk();
    const pap = await startPap(disk, thread);
    await fill(pap);
    const before = deciding(pap);
    pap.store.fail('activate', 'after');
    const activation = await pap.service.rollback(LAYER, 'r', ADMIN);
    expect(deciding(pap)).toEqual({ ...before, [LAYER]: activation.digest });
    expect(activation.digest).not.toBe(before[LAYER]);
    expect(deciding(await startPap(disk, thread))).toEqual(deciding(pap));
    expect(pap.events.at(-1)).toMatchObject({ kind: 'bundle.rollback' });
  });

  test('after recording, and then for a while: the old bundle decides until the store can be asked', async () => {
    const pap = await startPap(memoryDisk(), thread);
    await fill(pap);
    const before = deciding(pap);
    pap.store.fail('activate', 'after');
    pap.store.fail('active', 'before', 2);
    const rollback = pap.service.rollback(LAYER, 'r', ADMIN);
    expect((await failure(rollback)).code).toBe('STORE_UNAVAILABLE');
    expect(deciding(pap)).toEqual(before);
  });

  test('at start: the service does not start', async () => {
    const disk = memoryDisk();
    await fill(await startPap(disk, thread));
    for (const broken of [
      { ...disk, bundles: without(disk.bundles, 'get') },
      { ...disk, bundles: without(disk.bundles, 'active') },
      { ...disk, directory: unreadable(disk.directory) },
    ]) {
      expect((await failure(startPap(broken, thread))).code).toBe('STORE_UNAVAILABLE');
    }
  });
});

describe('a stored bundle that was altered', () => {
  const alterations: readonly (readonly [string, (bundle: StoredBundle) => StoredBundle | undefined])[] = [
    [
      'in a file',
      stored => ({ ...stored, files: { ...stored.files, 'policies/a.cedar': permit('evil', 'acme') } }),
    ],
    [
      'by a file more',
      stored => ({ ...stored, files: { ...stored.files, 'policies/z.cedar': permit('evil', 'acme') } }),
    ],
    ['in its layer', stored => ({ ...stored, manifest: { ...stored.manifest, layer: 'tenant:other' } })],
    ['by being removed', () => undefined],
  ];
  test.each(alterations)('%s keeps the service from starting', async (_, alter) => {
    const disk = memoryDisk();
    await fill(await startPap(disk, thread));
    const bundles: BundleStore = Object.assign(delegate(disk.bundles), {
      async get(digest: StoredBundle['digest']) {
        const stored = await disk.bundles.get(digest);
        return stored?.manifest.layer === LAYER ? alter(stored) : stored;
      },
    });
    const error = await failure(startPap({ ...disk, bundles }, thread));
    expect(error.code).toBe('BUNDLE_INVALID');
    expect(error.message).toContain('tenant:acme');
  });
});

function delegate(store: BundleStore): BundleStore {
  return {
    put: (bundle, event) => store.put(bundle, event),
    get: digest => store.get(digest),
    list: query => store.list(query),
    activate: (request, event) => store.activate(request, event),
    active: () => store.active(),
    history: (layer, limit, below) => store.history(layer, limit, below),
  };
}

function without(store: BundleStore, call: 'get' | 'active'): BundleStore {
  const failing = (): Promise<never> =>
    Promise.reject(new AppError('STORE_UNAVAILABLE', `the store failed at ${call}`));
  return Object.assign(delegate(store), { [call]: failing });
}

/** A directory store that fails at once, long before the policies are built. */
function unreadable(store: DirectoryStore): DirectoryStore {
  return {
    revision: () => Promise.reject(new AppError('STORE_UNAVAILABLE', 'the store failed at revision')),
    load: () => store.load(),
    begin: () => store.begin(),
    at: (ref, revision) => store.at(ref, revision),
    loadAt: revision => store.loadAt(revision),
  };
}
