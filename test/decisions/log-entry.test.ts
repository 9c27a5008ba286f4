/**
 * The log entry of every decision of the corpus. Invariants: it says what was answered and by which
 * revisions, and is enough to decide the same again.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { entryView, pseudonymsIn } from '../../src/decision-log/entry-view.ts';
import { openOpening } from '../../src/decision-log/opening.ts';
import type { LoggedLeaf } from '../../src/decision-log/ports.ts';
import type { JsonObject } from '../../src/domain/json.ts';
import type { Credential } from '../../src/domain/credential.ts';
import type { Decision } from '../../src/domain/decision.ts';
import { timestamp } from '../../src/domain/clock.ts';
import { evaluateDecision } from '../../src/pdp/decide.ts';
import { DecisionEngine } from '../../src/pdp/engine.ts';
import type { ModalEvaluator } from '../../src/pdp/evaluator.ts';
import { IdempotencyWindow } from '../../src/pdp/idempotency.ts';
import { rebuildRequest } from '../../src/pdp/replay.ts';
import type { SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { MemoryLog } from '../../src/store/memory/log.ts';
import { type CorpusCase, readCases } from './corpus.ts';
import { type TestPrivacy, testPrivacy } from '../decision-log/test-privacy.ts';
import { sayable } from './expectation.ts';
import { buildEvaluator, buildHolder } from './scene.ts';
import { requestFingerprint } from '../../src/wiring/request-fingerprint.ts';

const ENGINE_VERSION = 'corpus/1';
const cases = readCases();

const credential: Credential = {
  keyId: 'corpus-pep',
  roles: new Set(['pep']),
  tenants: undefined,
  mayAssert: true,
};

/** What a decision entry says, in the words of the answer. */
const contentSchema = z.looseObject({
  kind: z.literal('decision'),
  id: z.string(),
  time: z.int(),
  decision: z.string(),
  reason: z.unknown(),
  levels: z.unknown(),
  obligations: z.unknown(),
  revision: z.unknown(),
  engine: z.string(),
  pep: z.string(),
  entities: z.record(z.string(), z.int()),
  request: z.record(z.string(), z.json()),
});

let holder: SnapshotHolder;
let evaluator: ModalEvaluator;
beforeAll(async () => {
  holder = await buildHolder('index');
  evaluator = buildEvaluator('compiled', 'off');
});

describe('the entry of each decision', () => {
  test.each(cases)('$title', async one => {
    const { decision, leaf, view } = await decideAndRead(one);
    const content = contentSchema.parse(view);
    const { obligations, revision, decisionId } = decision;
    expect(content).toMatchObject({
      id: decisionId,
      time: one.now,
      decision: one.expect.decision,
      ...sayable(decision),
      obligations,
      revision,
      engine: `compiled/${ENGINE_VERSION}`,
      pep: credential.keyId,
    });
    expect(content.request).toMatchObject({
      principal: one.request.principal,
      action: one.request.action,
      resource: one.request.resource,
    });
    expect(content.entities).toEqual(revisionsOf(one, decision));
    expect(decision.log).toEqual({ origin: 'corpus.test', index: leaf.index, size: leaf.index + 1 });
  });

  test.each(cases)('is enough to decide again: $title', async one => {
    const { decision, view } = await decideAndRead(one);
    const { request: logged } = contentSchema.parse(view);
    const { request, now } = rebuildRequest(logged);
    const snapshot = holder.current;
    if (snapshot === undefined) throw new Error('no snapshot');
    const again = evaluateDecision(
      snapshot,
      evaluator,
      { ...request, explain: one.request.explain },
      { id: decision.decisionId, now, defaultEnv: 'another' },
    );
    const { log: _, requestId: __, auth: ___, evaluatedAt, ...then } = decision;
    const { evaluatedAt: evaluatedAgainAt, ...repeated } = again.decision;
    expect(repeated).toEqual(then);
    // an unknown action has no context, but the clock is always logged
    expect([evaluatedAt, evaluatedAgainAt]).toEqual([timestamp(one.now), timestamp(one.now)]);
  });
});

async function decideAndRead(
  one: CorpusCase,
): Promise<{ decision: Decision; leaf: LoggedLeaf; view: JsonObject }> {
  const privacy = testPrivacy();
  const log = new MemoryLog('corpus.test', { privacy });
  const clock = { now: () => one.now, monotonic: () => 0 };
  const engine = new DecisionEngine({
    snapshots: holder,
    evaluator,
    log,
    clock,
    ids: { next: () => '01900000-0000-7000-8000-000000000000' },
    idempotency: new IdempotencyWindow(clock, requestFingerprint),
    observer: { decided: () => undefined, failed: rethrow },
    defaultEnv: 'production',
    engineVersion: ENGINE_VERSION,
  });
  const decision = await engine.decide(one.request, { credential });
  const leaf = await log.decision(decision.decisionId);
  if (leaf === undefined) throw new Error('the decision is not in the log');
  return { decision, leaf, view: await openView(log, leaf, privacy) };
}

/** The entry as an auditor who may see it reads it: names resolved, personal values opened. */
async function openView(log: MemoryLog, leaf: LoggedLeaf, privacy: TestPrivacy): Promise<JsonObject> {
  const opening = (await log.openings([leaf.index])).get(leaf.index);
  const { id } = contentSchema.pick({ id: true }).parse(leaf.content);
  const disclosures =
    opening === undefined ? '' : openOpening(opening.sealed, privacy.keyOf(opening.subject), id);
  return entryView(leaf.content, {
    subjects: new Map(pseudonymsIn(leaf.content).map(pseudonym => [pseudonym, privacy.idOf(pseudonym)])),
    disclosures: disclosures?.split('~') ?? [],
  });
}

/** A decision of the corpus never fails inside: a deny `INTERNAL_ERROR` must not pass for an expected one. */
function rethrow(error: unknown): never {
  throw error;
}

/** The directory revisions of the principal and of every resource that a check named, as far as they exist. */
function revisionsOf({ request }: CorpusCase, decision: Decision): Record<string, number> {
  const { endpoint, tenant, action } = decision.levels;
  const checked = [endpoint, tenant, action].flatMap(level => level?.checks ?? []);
  const keys = new Set([`AI::${request.principal.type}::"${request.principal.id}"`]);
  // an action that the schema does not have asks about no entity
  const asked = holder.current?.planner.find(request.action) === undefined ? [] : checked;
  for (const { resource } of asked) keys.add(resource);
  const revisions: Record<string, number> = {};
  for (const key of keys) {
    const revision = holder.current?.directory.get(key)?.revision;
    if (revision !== undefined) revisions[key] = revision;
  }
  return revisions;
}
