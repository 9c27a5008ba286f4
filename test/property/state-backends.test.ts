/** SQLite equals memory: any sequence of calls to the state ports gives the same answers and the same state. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Digest } from '../../src/domain/bundle.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { LayerName } from '../../src/domain/ids.ts';
import { MemoryState } from '../../src/store/memory/state.ts';
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import { AT, body, collect, event, put, remove, type StatePorts } from '../conformance/state-backend.ts';

type Step = (state: StatePorts, id: string) => Promise<unknown>;
interface Command {
  readonly text: string;
  readonly run: Step;
}

const RUNS = 12;
const id = fc.constantFrom('a', 'b', 'c', 'A', "'");
const digest = fc.integer({ min: 1, max: 4 }).map((n): Digest => `sha256:${String(n).repeat(64)}`);
const layer = fc.constantFrom<LayerName>('platform', 'tenant:a', 'tenant:b');
const revision = fc.nat(8);
const write = fc.oneof(
  fc.tuple(id, fc.nat(9)).map(([name, n]) => put(name, body({ n }, ['t']))),
  id.map(remove),
);
const limit = fc.integer({ min: 1, max: 3 });

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.tuple(fc.array(write, { maxLength: 4 }), fc.boolean()).map(([writes, keep]) => ({
    text: `${keep ? 'commit' : 'roll back'} ${JSON.stringify(writes)}`,
    run: async (state: StatePorts, name: string) => {
      const tx = await state.directory.begin();
      for (const one of writes) await tx.write([one]);
      return keep ? tx.commit(AT, event(name)) : tx.rollback();
    },
  })),
  fc.tuple(id, revision).map(([name, at]) => ({
    text: `read ${name} at ${at}`,
    run: (state: StatePorts) => state.directory.at({ type: 'User', id: name }, at),
  })),
  revision.map(at => ({
    text: `load at ${at}`,
    run: (state: StatePorts) => sorted(state.directory.loadAt(at)),
  })),
  fc.tuple(digest, layer).map(([name, on]) => ({
    text: `push ${name} to ${on}`,
    run: (state: StatePorts, eventId: string) => state.bundles.put(bundle(name, on), event(eventId)),
  })),
  fc
    .tuple(digest, layer, fc.option(fc.option(digest), { nil: undefined }))
    .map(([name, on, expectedActive]) => ({
      text: `activate ${name} on ${on} expecting ${expectedActive}`,
      run: (state: StatePorts, eventId: string) =>
        state.bundles.activate(
          { layer: on, digest: name, expectedActive, actor: 'k', reason: 'r', kind: 'activate', at: AT },
          event(eventId),
        ),
    })),
  fc.tuple(layer, limit, fc.option(fc.nat(4), { nil: undefined })).map(([on, most, below]) => ({
    text: `history of ${on} below ${below}`,
    run: (state: StatePorts) => state.bundles.history(on, most, below),
  })),
  fc.tuple(fc.option(layer, { nil: undefined }), limit).map(([on, most]) => ({
    text: `list bundles of ${on}`,
    run: (state: StatePorts) => allBundles(state, on, most),
  })),
  id.map(name => ({
    text: `create key ${name}`,
    run: (state: StatePorts, eventId: string) => state.keys.create(key(name), event(eventId)),
  })),
  id.map(name => ({
    text: `revoke key ${name}`,
    run: (state: StatePorts, eventId: string) => state.keys.revoke(name, AT, event(eventId)),
  })),
  fc.tuple(limit, fc.boolean()).map(([most, all]) => ({
    text: `acknowledge ${most}`,
    run: async (state: StatePorts) => {
      const events = await state.outbox.pending(most);
      await state.outbox.acknowledge(all ? events.map(one => one.id) : ['unknown']);
      return events;
    },
  })),
);

test('any sequence of calls has the same answers and leaves the same state', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 60 }), async commands => {
      const own = mkdtempSync(join(tmpdir(), 'duramen-backend-'));
      const store = await StateStore.open({ folder: own, at: AT });
      try {
        const memory = new MemoryState();
        for (const [at, { text, run }] of commands.entries()) {
          const [expected, actual] = [
            await outcome(run, memory, `e${at}`),
            await outcome(run, store, `e${at}`),
          ];
          expect({ text, answer: actual }).toEqual({ text, answer: expected });
        }
        expect(await dump(store)).toEqual(await dump(memory));
      } finally {
        await store.close();
        rmSync(own, { recursive: true });
      }
    }),
    { numRuns: RUNS },
  );
});

const sorted = async (chunks: Parameters<typeof collect>[0]) =>
  [...(await collect(chunks)).values()].sort((a, b) => (a.ref.id < b.ref.id ? -1 : 1));

async function outcome(run: Step, state: StatePorts, name: string): Promise<unknown> {
  try {
    return plain(await run(state, name));
  } catch (error) {
    if (error instanceof AppError) return `${error.code} ${error.message}`;
    throw error;
  }
}

async function dump(state: StatePorts): Promise<unknown> {
  return {
    revision: await state.directory.revision(),
    live: await sorted(state.directory.load()),
    active: await state.bundles.active(),
    keys: await state.keys.list(),
    outbox: await state.outbox.pending(1_000),
  };
}

async function allBundles(state: StatePorts, on: LayerName | undefined, most: number): Promise<unknown> {
  const digests: string[] = [];
  let cursor: string | null = null;
  do {
    const page: Awaited<ReturnType<StatePorts['bundles']['list']>> = await state.bundles.list({
      limit: most,
      ...(on === undefined ? {} : { layer: on }),
      ...(cursor === null ? {} : { cursor }),
    });
    digests.push(...page.items.map(item => item.digest));
    cursor = page.nextCursor;
  } while (cursor !== null);
  return digests;
}

/** Bytes as a list of numbers: one backend gives a Buffer, the other a Uint8Array. */
function plain(value: unknown): unknown {
  return value === undefined
    ? undefined
    : JSON.parse(
        JSON.stringify(value, (_name, part: unknown) => (part instanceof Uint8Array ? [...part] : part)),
      );
}

function bundle(name: Digest, on: LayerName) {
  return {
    digest: name,
    manifest: { layer: on, version: '1', description: '' },
    files: { 'a.cedar': name },
    archive: new Uint8Array([1, 2]),
    report: { policies: 1, tests: { passed: 0, failed: 0 }, warnings: [] },
    pushedBy: 'k',
    pushedAt: AT,
  };
}

function key(name: string) {
  return {
    id: name,
    hash: 'h',
    roles: ['pep' as const],
    description: '',
    mayAssert: true,
    createdAt: AT,
    createdBy: 'system',
  };
}
