/** The benchmark of access: how long it takes to list what one may do and who may do it, and how long it holds others up. */
import { CedarWasm } from '../src/cedar/wasm.ts';
import type { Credential } from '../src/domain/credential.ts';
import type { EntityRef } from '../src/domain/ids.ts';
import { AccessQueries } from '../src/pdp/access/access-queries.ts';
import { SnapshotHolder } from '../src/pdp/snapshot.ts';
import { median } from './median.ts';
import { buildSnapshot, compiledEvaluator, readSchema } from './in-process.ts';
import { modelName, principalName, type WorldSize } from './world.ts';

/** One question, asked again and again. */
export interface AccessFigure {
  readonly name: string;
  /** Median of all pages together, in milliseconds. */
  readonly milliseconds: number;
  /** Longest work between two turns of the event loop, over all rounds after the first, in milliseconds. */
  readonly longestStretch: number;
  readonly items: number;
  readonly pages: number;
}

const ASKER: Credential = {
  keyId: 'bench',
  roles: new Set(['auditor']),
  tenants: undefined,
  mayAssert: false,
};
const ROUNDS = 7;

/** Many tenants as in the other figures, and one tenant that has all principals and models. */
export async function benchAccess(
  size: Pick<WorldSize, 'principals' | 'models'>,
  say: (line: string) => void,
): Promise<readonly AccessFigure[]> {
  const wasm = new CedarWasm();
  const schema = readSchema(wasm);
  const figures: AccessFigure[] = [];
  for (const tenants of [50, 1]) {
    const world = { ...size, tenants, policies: 1_000 };
    const snapshot = buildSnapshot(wasm, schema, world);
    const holder = new SnapshotHolder();
    holder.publish(snapshot, snapshot.directory);
    const among = `${tenants} ${tenants === 1 ? 'tenant' : 'tenants'}`;
    const user = { type: 'User', id: principalName(0, world) };
    const model = { type: 'Model', id: modelName(0, world) };
    figures.push(
      await time(`one principal, ${size.models} models, ${among}`, holder, 'principal', user),
      await time(`one model, ${size.principals} principals, ${among}`, holder, 'model', model),
    );
  }
  for (const { name, milliseconds, longestStretch, items, pages } of figures) {
    say(
      `access, ${name}: ${milliseconds.toFixed(1)} ms, longest stretch ${longestStretch.toFixed(1)} ms, ${items} items in ${pages} pages`,
    );
  }
  return figures;
}

async function time(
  name: string,
  snapshots: SnapshotHolder,
  side: 'principal' | 'model',
  about: EntityRef,
): Promise<AccessFigure> {
  let ids = 0;
  const queries = new AccessQueries({
    snapshots,
    evaluator: compiledEvaluator(),
    clock: { now: () => Date.now(), monotonic: () => performance.now() },
    ids: { next: () => String(++ids) },
    defaultEnv: 'production',
    record: () => Promise.resolve(),
    waitOf: () => undefined,
  });
  const times: number[] = [];
  let [longestStretch, items, pages] = [0, 0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    const watch = watchStretches();
    const startedAt = performance.now();
    [items, pages] = [0, 0];
    let cursor: string | undefined;
    do {
      const page = await queries.page({ side, about, facts: {}, operations: undefined }, ASKER, {
        limit: 1_000,
        cursor,
      });
      items += page.items.length;
      pages += 1;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    times.push(performance.now() - startedAt);
    const longest = watch.stop();
    // the first rounds warm the JIT up
    if (round > 1) longestStretch = Math.max(longestStretch, longest);
  }
  return { name, milliseconds: median(times.slice(2)), longestStretch, items, pages };
}

/** Measures how long the thread works between turns of the event loop; time that others take from it is not its own. */
function watchStretches(): { stop(): number } {
  const worked = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let [last, longest, isOver] = [worked(), 0, false];
  const turn = (): void => {
    const now = worked();
    longest = Math.max(longest, now - last);
    last = now;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  return {
    stop() {
      isOver = true;
      return longest;
    },
  };
}
