/**
 * Deciding past decisions again after many changes: under the revisions that an entry names, from the states that the store
 * kept and the layers of then, the same is decided, or it is said that nobody can tell.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { entryView, pseudonymsIn } from '../../src/decision-log/entry-view.ts';
import { leafId } from '../../src/decision-log/leaf-facts.ts';
import { openOpening } from '../../src/decision-log/opening.ts';
import { DirectoryService } from '../../src/directory/service.ts';
import { rebuild } from '../../src/directory/rebuild.ts';
import type { EntityParser } from '../../src/directory/ports.ts';
import { entityBodySchema, entityLineSchema } from '../../src/domain/entity.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import { evaluateDecision } from '../../src/pdp/decide.ts';
import { entityParser } from '../../src/pdp/directory-schema.ts';
import { DecisionEngine } from '../../src/pdp/engine.ts';
import { IdempotencyWindow } from '../../src/pdp/idempotency.ts';
import { NotReplayable, rebuildRequest } from '../../src/pdp/replay.ts';
import { type PolicyState, SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { MemoryLog } from '../../src/store/memory/log.ts';
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import { objectDigest } from '../../src/wiring/object-digest.ts';
import { requestFingerprint } from '../../src/wiring/request-fingerprint.ts';
import { readCases, readWorld } from '../decisions/corpus.ts';
import { buildEvaluator, buildHolder } from '../decisions/scene.ts';
import { type TestPrivacy, testPrivacy } from '../decision-log/test-privacy.ts';
import { ADMIN, adopt } from '../directory/directory-fixture.ts';

const RUNS = 6;
const NOW = Date.UTC(2026, 2, 10, 12);
const world = readWorld().entities;
const cases = readCases();
const asker = { keyId: 'pep', roles: new Set(['pep' as const]), tenants: undefined, mayAssert: true };

const logged = z.looseObject({
  id: z.string(),
  time: z.int(),
  reason: z.looseObject({ code: z.string(), policies: z.array(z.string()) }),
  levels: z.record(z.string(), z.unknown()),
  obligations: z.unknown(),
  entities: z.record(z.string(), z.int()),
  revision: z.object({ directory: z.int(), schema: z.string(), layers: z.record(z.string(), z.string()) }),
  request: z.record(z.string(), z.json()),
});

type Step =
  | { readonly kind: 'decide'; readonly at: number }
  | { readonly kind: 'status' | 'orphan' | 'delete' | 'restore'; readonly at: number }
  | { readonly kind: 'layers'; readonly mask: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.nat(cases.length - 1).map((at): Step => ({ kind: 'decide', at })) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.constantFrom('status', 'orphan', 'delete', 'restore'), fc.nat(world.length - 1))
      .map(([kind, at]): Step => ({ kind, at })),
  },
  { weight: 1, arbitrary: fc.nat(15).map((mask): Step => ({ kind: 'layers', mask })) },
);

let base: PolicyState;
let parser: EntityParser;
beforeAll(async () => {
  const { current } = await buildHolder('index');
  if (current === undefined) throw new Error('no snapshot');
  base = { schema: current.schema, layers: current.layers };
  parser = entityParser(current.schema);
});

/** The layers that a mask leaves: each can be absent. */
function policyOf(mask: number): PolicyState {
  const layers = [...base.layers].filter((_, at) => (mask & (1 << at)) === 0);
  return { schema: base.schema, layers: new Map(layers) };
}

/** A service without its edges, whose directory is in SQLite. */
class Past {
  readonly privacy: TestPrivacy = testPrivacy();
  readonly log = new MemoryLog('replay.test', { privacy: this.privacy });
  readonly holder = new SnapshotHolder();
  readonly store: StateStore;
  readonly #directory: DirectoryService;
  readonly #engine: DecisionEngine;
  readonly #evaluator = buildEvaluator('compiled', 'off');
  #now = NOW;
  #ids = 0;

  constructor(store: StateStore) {
    this.store = store;
    const clock = { now: () => this.#now, monotonic: () => 0 };
    const ids = { next: () => `0192f3a4-1111-7abc-8def-${String((this.#ids += 1)).padStart(12, '0')}` };
    this.#directory = new DirectoryService({
      digestOf: objectDigest,
      store: store.directory,
      clock,
      ids,
      publish: graph => this.holder.publishDirectory(graph),
      announce: () => Promise.resolve(),
    });
    this.#engine = new DecisionEngine({
      snapshots: this.holder,
      evaluator: this.#evaluator,
      log: this.log,
      clock,
      ids,
      idempotency: new IdempotencyWindow(clock, requestFingerprint),
      observer: {
        decided: () => undefined,
        failed: error => {
          throw error;
        },
      },
      defaultEnv: 'production',
      engineVersion: 'replay',
    });
  }

  async open(): Promise<void> {
    await adopt(this.#directory, parser);
    this.holder.publish(policyOf(0), this.#directory.graph);
    const lines = world.map(entity => `${JSON.stringify(entity)}\n`).join('');
    await this.#directory.import(chunks(lines), ADMIN, {
      parseLine: bytes => entityLineSchema.parse(JSON.parse(bytes.toString())),
    });
  }

  async take(one: Step): Promise<void> {
    this.#now += 1_000;
    if (one.kind === 'layers') return this.holder.publishPolicy(policyOf(one.mask));
    try {
      if (one.kind === 'decide') await this.#decide(one.at);
      else await this.#change(one.kind, one.at);
    } catch (error) {
      // what is not there cannot be changed, and a request that is refused leaves no entry
      if (!(error instanceof AppError)) throw error;
    }
  }

  async #decide(at: number): Promise<void> {
    const one = cases[at];
    if (one === undefined) throw new Error('no case');
    await this.#engine.decide(one.request, { credential: asker });
  }

  async #change(kind: 'status' | 'orphan' | 'delete' | 'restore', at: number): Promise<void> {
    const entity = world[at];
    if (entity === undefined) throw new Error('no entity');
    const { type, id, ...body } = entity;
    const ref = { type, id };
    if (kind === 'delete') await this.#directory.delete(ref, ADMIN);
    else if (kind === 'restore') await this.#directory.put(ref, entityBodySchema.parse(body), ADMIN);
    else if (kind === 'orphan') await this.#directory.patch(ref, { parents: [] }, ADMIN);
    else {
      const { status } = this.#directory.get(ref, ADMIN);
      await this.#directory.patch(ref, { status: status === 'active' ? 'disabled' : 'active' }, ADMIN);
    }
  }

  /** Every decision of the log as its auditor reads it. @param erased a principal whose pseudonym leads nowhere */
  async entries(erased?: string): Promise<readonly JsonObject[]> {
    const { items } = await this.log.decisions({ filters: {}, limit: 1_000, order: 'asc' });
    const openings = await this.log.openings(items.map(({ index }) => index));
    return items.map(({ index, content }) => {
      const opening = openings.get(index);
      const id = leafId(content);
      const text =
        opening === undefined ? '' : openOpening(opening.sealed, this.privacy.keyOf(opening.subject), id);
      const subjects = pseudonymsIn(content)
        .map(pseudonym => [pseudonym, this.privacy.idOf(pseudonym)] as const)
        .filter(([, name]) => name !== erased);
      return entryView(content, { subjects: new Map(subjects), disclosures: text?.split('~') ?? [] });
    });
  }

  /** Decides again what an entry tells, from nothing but the entry, the store and the layers of their digests. */
  async again(entry: z.output<typeof logged>, explain: 'summary' | 'none') {
    const { request, now } = rebuildRequest(entry.request);
    const { directory } = entry.revision;
    const clock = { now: () => 0, monotonic: () => 0 };
    const { graph } = await rebuild(this.store.directory.loadAt(directory), directory, parser, clock);
    if (graph === undefined) throw new Error('the directory of then does not load');
    const digests = new Set(Object.values(entry.revision.layers));
    const layers = new Map([...base.layers].filter(([, { digest }]) => digests.has(digest)));
    const holder = new SnapshotHolder();
    holder.publish({ schema: base.schema, layers }, graph);
    if (holder.current === undefined) throw new Error('no snapshot');
    const inputs = { id: entry.id, now, defaultEnv: 'another' };
    // an entry does not tell `explain`, and with `none` the checks end at the first deny
    const asked = { ...request, explain };
    const { decision, entities } = evaluateDecision(holder.current, this.#evaluator, asked, inputs);
    return {
      ...decision,
      entities: Object.fromEntries(entities.map(({ entity, revision }) => [entity.key, revision])),
    };
  }
}

async function* chunks(text: string): AsyncGenerator<Buffer> {
  yield await Promise.resolve(Buffer.from(text));
}

async function withPast(work: (past: Past) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-replay-'));
  const store = await StateStore.open({ folder, at: new Date(NOW).toISOString() });
  try {
    const past = new Past(store);
    await past.open();
    await work(past);
  } finally {
    await store.close();
    rmSync(folder, { recursive: true });
  }
}

test('after any changes every past decision is decided as it was', { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 60, maxLength: 160 }), async steps => {
      await withPast(async past => {
        for (const one of steps) await past.take(one);
        for (const view of await past.entries()) {
          const entry = logged.parse(view);
          const repeated = [await past.again(entry, 'summary'), await past.again(entry, 'none')];
          expect(repeated.map(briefly)).toContainEqual(briefly(entry));
        }
      });
    }),
    { numRuns: RUNS },
  );
});

test('a decision about somebody who was erased is not decided again as that of somebody else', async () => {
  await withPast(async past => {
    const at = cases.findIndex(
      ({ request, expect: { decision } }) => request.principal.id === 'acme/alice' && decision === 'allow',
    );
    await past.take({ kind: 'decide', at });
    const [view] = await past.entries('acme/alice');
    const entry = logged.parse(view);
    expect(() => rebuildRequest(entry.request)).toThrow(NotReplayable);
    expect(() => rebuildRequest(entry.request)).toThrow('erased');
  });
});

/** What an entry and a decision both tell: each check with all but its sentences, which entries do not keep. */
function briefly(
  told: Pick<z.output<typeof logged>, 'reason' | 'levels' | 'obligations' | 'entities'>,
): unknown {
  const checks = z.array(
    z.looseObject({ code: z.string(), policies: z.array(z.string()), decision: z.string() }),
  );
  const levels = z.record(z.string(), z.looseObject({ checks })).parse(told.levels);
  return {
    code: told.reason.code,
    policies: told.reason.policies,
    obligations: told.obligations,
    entities: told.entities,
    levels: Object.fromEntries(
      Object.entries(levels).map(([level, value]) => [
        level,
        value.checks.map(({ code, policies, decision }) => ({ code, policies, decision })),
      ]),
    ),
  };
}
