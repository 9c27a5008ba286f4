/** Queries of access over a holder of snapshots, with what is recorded kept, and decisions about the same requests. */
import type { CedarWasm } from '../../src/cedar/wasm.ts';
import { compilePolicy } from '../../src/cedar/compile.ts';
import { PolicyIndexBuilder } from '../../src/cedar/policy-index.ts';
import { checkPolicies } from '../../src/cedar/validate.ts';
import type { CedarSchema } from '../../src/cedar/schema.ts';
import type { Credential } from '../../src/domain/credential.ts';
import type { DecisionRequest } from '../../src/domain/decision-request.ts';
import type { EntityRef, LayerName } from '../../src/domain/ids.ts';
import type { EventEntry } from '../../src/domain/log-entry.ts';
import type { AccessItem, AccessPage } from '../../src/pdp/access/access-page.ts';
import { AccessQueries, type AccessQuery } from '../../src/pdp/access/access-queries.ts';
import { evaluateDecision } from '../../src/pdp/decide.ts';
import type { CheckEvaluator } from '../../src/pdp/evaluator.ts';
import type { CompiledLayer, SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { buildEvaluator } from '../decisions/scene.ts';

export const NOW = Date.parse('2026-03-10T12:00:00.000Z');
const DEFAULT_ENV = 'production';

export const AUDITOR: Credential = {
  keyId: 'auditor',
  roles: new Set(['auditor']),
  tenants: undefined,
  mayAssert: false,
};

export interface AccessWorld {
  readonly queries: AccessQueries;
  readonly events: EventEntry[];
  /** Moves the monotonic clock, in milliseconds. */
  pass(milliseconds: number): void;
  /** Every page of a query. */
  all(query: AccessQuery, asker?: Credential, limit?: number): Promise<readonly AccessPage[]>;
  /** What /decide says about a request, without a log. */
  decide(request: Omit<DecisionRequest, 'explain'>): 'allow' | 'deny';
}

export function accessWorld(
  holder: SnapshotHolder,
  evaluator: CheckEvaluator = buildEvaluator('compiled', 'off'),
): AccessWorld {
  const events: EventEntry[] = [];
  let elapsed = 0;
  let ids = 0;
  const queries = new AccessQueries({
    snapshots: holder,
    evaluator,
    clock: { now: () => NOW, monotonic: () => elapsed },
    ids: { next: () => `${++ids}`.padStart(8, '0') },
    defaultEnv: DEFAULT_ENV,
    record: event => {
      events.push(event);
      return Promise.resolve();
    },
    waitOf: () => undefined,
  });
  return {
    queries,
    events,
    pass: milliseconds => {
      elapsed += milliseconds;
    },
    async all(query, asker = AUDITOR, limit = 1_000) {
      const pages: AccessPage[] = [];
      let cursor: string | undefined;
      do {
        const page: AccessPage = await queries.page(query, asker, { limit, cursor });
        pages.push(page);
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      return pages;
    },
    decide(request) {
      const snapshot = holder.current;
      if (snapshot === undefined) throw new Error('nothing was published');
      const inputs = { id: 'd', now: NOW, defaultEnv: DEFAULT_ENV };
      return evaluateDecision(snapshot, evaluator, { ...request, explain: 'none' }, inputs).decision.decision;
    },
  };
}

/** What pages say of one entity; nothing when none lists it. */
export function itemOf(pages: readonly AccessPage[], { type, id }: EntityRef): AccessItem | undefined {
  return pages.flatMap(({ items }) => items).find(({ entity }) => entity.type === type && entity.id === id);
}

/** A layer of these policies, validated like any other. */
export function layerOf(name: LayerName, schema: CedarSchema, text: string, wasm: CedarWasm): CompiledLayer {
  const policies = [{ path: 'policies/generated.cedar', text }];
  const checked = checkPolicies({ layer: name, schema, policies, templates: [], links: [] }, wasm);
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems));
  const builder = new PolicyIndexBuilder(schema.actions);
  for (const { id, ast } of checked.policies) {
    builder.add(compilePolicy({ id, policy: ast, actions: schema.actions }));
  }
  return {
    name,
    digest: `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0')}`,
    index: builder.build(),
    sources: Object.fromEntries(checked.policies.map(policy => [policy.id, policy.text])),
  };
}
