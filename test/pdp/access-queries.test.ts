/** Queries of access as a service: one entry each, one snapshot for all pages, bounds on what runs and what is kept. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Credential } from '../../src/domain/credential.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { EventEntry } from '../../src/domain/log-entry.ts';
import { AccessQueries, type AccessQuery } from '../../src/pdp/access/access-queries.ts';
import { SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { buildEvaluator, buildHolder } from '../decisions/scene.ts';
import { AUDITOR, accessWorld, NOW } from './access-world.ts';

const QUERY: AccessQuery = {
  side: 'model',
  about: { type: 'Model', id: 'acme/support-llm' },
  facts: {},
  operations: ['generate'],
};
const KEPT_MS = 300_000;

let holder: SnapshotHolder;
beforeAll(async () => {
  holder = await buildHolder('index');
});

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'none';
  } catch (error) {
    if (error instanceof AppError) return error.code;
    throw error;
  }
}

/** Queries whose entries are held back until the test lets them go. */
function heldQueries(record: (event: EventEntry) => Promise<void>, step = 0) {
  let ids = 0;
  let elapsed = 0;
  return new AccessQueries({
    snapshots: holder,
    evaluator: buildEvaluator('compiled', 'off'),
    clock: {
      now: () => NOW,
      monotonic: () => {
        elapsed += step;
        return elapsed;
      },
    },
    ids: { next: () => `${++ids}`.padStart(8, '0') },
    defaultEnv: 'production',
    record,
    waitOf: () => undefined,
  });
}

describe('a query', () => {
  test('is answered after its entry is durable, and not at all when it cannot be', async () => {
    let write: (() => void) | undefined;
    const recorded = new Promise<void>(resolve => {
      write = resolve;
    });
    const queries = heldQueries(() => recorded);
    let isAnswered = false;
    const page = queries.page(QUERY, AUDITOR, { limit: 10 }).then(answer => {
      isAnswered = true;
      return answer;
    });
    await new Promise(resolve => setImmediate(resolve));
    expect(isAnswered).toBe(false);
    write?.();
    expect((await page).items.length).toBeGreaterThan(0);
    const failing = heldQueries(() => Promise.reject(new AppError('LOG_UNAVAILABLE', 'full')));
    expect(await codeOf(failing.page(QUERY, AUDITOR, { limit: 10 }))).toBe('LOG_UNAVAILABLE');
  });

  test('is an entry that names whom it is about, and holds no context', async () => {
    const world = accessWorld(holder);
    const facts = { context: { ip: '203.0.113.9' } };
    await world.all({ ...QUERY, side: 'principal', about: { type: 'User', id: 'acme/alice' }, facts });
    expect(world.events).toEqual([
      {
        kind: 'access.read',
        id: '00000001',
        time: NOW,
        actor: 'auditor',
        tenant: 'acme',
        subject: 'AI::User::"acme/alice"',
        details: {
          side: 'principal',
          directory: holder.current?.directory.revision,
          operations: ['generate'],
        },
      },
    ]);
  });

  test('that is refused as malformed leaves no entry', async () => {
    const world = accessWorld(holder);
    const bad = { ...QUERY, facts: { context: { nothing: 1 } } };
    expect(await codeOf(world.all(bad))).toBe('INVALID_REQUEST');
    expect(await codeOf(world.all({ ...QUERY, about: { type: 'Model', id: 'acme/none' } }))).toBe(
      'NOT_FOUND',
    );
    expect(world.events).toEqual([]);
  });

  test('finds nothing loaded before there is a snapshot', async () => {
    expect(await codeOf(accessWorld(new SnapshotHolder()).all(QUERY))).toBe('NOT_READY');
  });

  test('waits its turn when four pages are being computed', async () => {
    const never = new Promise<void>(() => undefined);
    const queries = heldQueries(() => never);
    for (let at = 0; at < 4; at++) void queries.page(QUERY, AUDITOR, { limit: 1 });
    expect(await codeOf(queries.page(QUERY, AUDITOR, { limit: 1 }))).toBe('TOO_MANY_ACCESS_QUERIES');
  });
});

describe('the pages of a query', () => {
  async function begun(world: ReturnType<typeof accessWorld>, asker?: Credential): Promise<string> {
    const { nextCursor } = await world.queries.page(QUERY, asker ?? AUDITOR, { limit: 1 });
    if (nextCursor === null) throw new Error('there is one page only');
    return nextCursor;
  }

  test('are kept for five minutes from the last one on', async () => {
    const world = accessWorld(holder);
    const cursor = await begun(world);
    world.pass(KEPT_MS);
    const next = await world.queries.page(QUERY, AUDITOR, { limit: 1, cursor });
    world.pass(KEPT_MS);
    const more = next.nextCursor ?? '';
    expect((await world.queries.page(QUERY, AUDITOR, { limit: 1, cursor: more })).items).toHaveLength(1);
    world.pass(KEPT_MS + 1);
    expect(await codeOf(world.queries.page(QUERY, AUDITOR, { limit: 1, cursor: more }))).toBe(
      'CURSOR_EXPIRED',
    );
  });

  test('are those of sixteen queries, the ones that were used last', async () => {
    const world = accessWorld(holder);
    const cursors: string[] = [];
    for (let at = 0; at < 16; at++) cursors.push(await begun(world));
    const [first = '', second = ''] = cursors;
    await world.queries.page(QUERY, AUDITOR, { limit: 1, cursor: first });
    await begun(world);
    expect(await codeOf(world.queries.page(QUERY, AUDITOR, { limit: 1, cursor: first }))).toBe('none');
    expect(await codeOf(world.queries.page(QUERY, AUDITOR, { limit: 1, cursor: second }))).toBe(
      'CURSOR_EXPIRED',
    );
  });

  test('are over when a principal is forgotten', async () => {
    const world = accessWorld(holder);
    const cursor = await begun(world);
    world.queries.forget();
    expect(await codeOf(world.queries.page(QUERY, AUDITOR, { limit: 1, cursor }))).toBe('CURSOR_EXPIRED');
  });

  test('are of one key alone', async () => {
    const world = accessWorld(holder);
    const cursor = await begun(world);
    const other = { ...AUDITOR, keyId: 'other' };
    expect(await codeOf(world.queries.page(QUERY, other, { limit: 1, cursor }))).toBe('CURSOR_EXPIRED');
  });

  test('end early when one takes long, and hold everything together', async () => {
    const whole = await heldQueries(() => Promise.resolve()).page(QUERY, AUDITOR, { limit: 1_000 });
    // each look at the clock is half a second later
    const slow = heldQueries(() => Promise.resolve(), 500);
    const items: unknown[] = [];
    let [pages, cursor]: [number, string | undefined] = [0, undefined];
    do {
      const page = await slow.page(QUERY, AUDITOR, { limit: 1_000, cursor });
      items.push(...page.items);
      pages += 1;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    expect(items).toEqual(whole.items);
    expect(pages).toBeGreaterThan(2);
  });

  test('are of the snapshot of the first, also when another is published', async () => {
    const own = await buildHolder('index');
    const world = accessWorld(own);
    const { nextCursor, revision } = await world.queries.page(QUERY, AUDITOR, { limit: 1 });
    const { current } = own;
    if (current === undefined || nextCursor === null) throw new Error('nothing was published');
    own.publish({ schema: current.schema, layers: new Map() }, current.directory);
    const next = await world.queries.page(QUERY, AUDITOR, { limit: 1_000, cursor: nextCursor });
    expect(next.revision).toEqual(revision);
    expect(next.items.flatMap(({ allowed }) => allowed).length).toBeGreaterThan(0);
    // a new query is of the new one, under which nothing is permitted
    expect((await world.all(QUERY)).flatMap(({ items }) => items)).toEqual([]);
  });
});
