/** Entries for tests of the log: realistic ones, one with every field, and arbitrary ones for properties. */
import * as fc from 'fast-check';
import type { CheckResult, LevelResult } from '../../src/domain/decision.ts';
import type { LimitResult } from '../../src/domain/limit-answer.ts';
import {
  type DecisionEntry,
  EVENT_KINDS,
  type EventEntry,
  type LogEntry,
  type LoggedRequest,
} from '../../src/domain/log-entry.ts';
import { EntityUid } from '../../src/domain/value.ts';
import { REASON_CODES } from '../../src/domain/reason.ts';
import { LEVELS } from '../../src/domain/names.ts';

export const TIME = Date.UTC(2026, 0, 1);
const DIGEST = `sha256:${'a'.repeat(64)}`;

/** A version 7 UUID that sorts by `sequence`. */
export function entryId(sequence: number): string {
  return `0192f3a4-1111-7abc-8def-${String(sequence).padStart(12, '0')}`;
}

function check(over: Partial<CheckResult> = {}): CheckResult {
  return {
    action: 'generate',
    resource: 'AI::Model::"acme/support-llm"',
    decision: 'allow',
    code: 'POLICY_ALLOW',
    message: 'data scientists use the models of their tenant',
    policies: ['tenant:acme/acme.data-scientist'],
    nearMisses: [],
    ...over,
  };
}

function level(...checks: readonly CheckResult[]): LevelResult {
  return { decision: checks.some(one => one.decision === 'deny') ? 'deny' : 'allow', checks: [...checks] };
}

/** The parts of a logged request, flat. */
export type FlatRequest = Partial<LoggedRequest['asked']> &
  Partial<Pick<LoggedRequest, 'principalTenant' | 'resourceTenant'>>;

/** A request as it is logged: alice's, with whatever is given in its place. */
export function requestOf(over: FlatRequest = {}): LoggedRequest {
  const { principalTenant, resourceTenant, ...given } = over;
  return {
    asked: {
      principal: { type: 'User', id: 'acme/alice' },
      action: 'generate',
      resource: { type: 'Model', id: 'acme/support-llm' },
      auth: { method: 'jwt', assurance: 2, scopes: ['model:invoke'] },
      input: { classes: ['text'], modality: 'text', tokens: 812 },
      ...given,
    },
    tenant: given.tenant ?? 'acme',
    defaultEnv: 'production',
    contextRead: true,
    principalTenant: 'principalTenant' in over ? principalTenant : 'acme',
    resourceTenant,
  };
}

/** An allow with three levels, as most decisions are. */
export function decisionEntry(sequence: number, over: Partial<DecisionEntry> = {}): DecisionEntry {
  return {
    kind: 'decision',
    id: entryId(sequence),
    time: TIME + sequence,
    request: requestOf(),
    decision: 'allow',
    reason: {
      code: 'POLICY_ALLOW',
      level: 'action',
      message: 'data scientists use the models of their tenant',
      policies: ['tenant:acme/acme.data-scientist'],
    },
    levels: {
      endpoint: level(check({ action: 'invoke' })),
      tenant: level(check({ action: 'useTenant', resource: 'AI::Tenant::"acme"' })),
      action: level(check()),
    },
    obligations: [],
    revision: { layers: { platform: DIGEST, 'tenant:acme': DIGEST }, directory: 118, schema: DIGEST },
    entities: [
      { entity: new EntityUid('AI::User', 'acme/alice'), revision: 118 },
      { entity: new EntityUid('AI::Model', 'acme/support-llm'), revision: 3 },
    ],
    engine: 'compiled/1+cedar-4.13.0',
    pep: 'k-gateway',
    ...over,
  };
}

export function eventEntry(sequence: number, over: Partial<EventEntry> = {}): EventEntry {
  return {
    kind: 'entity.put',
    id: entryId(sequence),
    time: TIME + sequence,
    actor: 'k-directory',
    tenant: 'acme',
    subject: 'AI::User::"acme/alice"',
    details: { revision: 119 },
    ...over,
  };
}

/** A decision in which every optional field is present. */
export function fullDecisionEntry(sequence: number): DecisionEntry {
  const clauses = [
    { kind: 'when', text: 'context.env == "prod"', result: 'false', observed: { 'context.env': '"dev"' } },
    { kind: 'unless', text: 'true', result: 'not evaluated' },
  ] as const;
  const miss = { policy: 'tenant:acme/acme.b', reason: 'b', missing: 'env', clauses: [...clauses] };
  return decisionEntry(sequence, {
    request: requestOf({
      requestId: 'gw-1',
      principal: { type: 'Agent', id: 'acme/copilot' },
      resource: { type: 'Model', id: 'beta/shared' },
      principalTenant: 'globex',
      resourceTenant: 'beta',
      onBehalfOf: 'm1',
      via: {
        agent: 'acme/copilot',
        chain: ['acme/copilot', 'acme/planner'],
        depth: 2,
        scopes: ['payments:refund'],
        expires: '2027-01-01T00:00:00Z',
        humanApproved: false,
      },
      partitions: [{ id: 'acme/payments', access: 'read' }],
      tools: [{ id: 'acme/refund', amountCents: 1200 }, { id: 'acme/search' }],
      outputs: [{ id: 'acme/s3', path: 'a/ü.csv', classification: 1 }],
      levels: ['endpoint', 'action'],
      consume: false,
      input: { tokens: 3, hash: DIGEST },
      params: { maxOutputTokens: 256, stream: false },
      context: {
        ip: '10.1.2.3',
        zeta: [true, null, -1],
        alpha: { 10: 'ten', 9: 'nine' },
        text: 'say "hi"\n\u2028 \u{1F332}',
      },
    }),
    decision: 'deny',
    reason: { code: 'NO_MATCHING_PERMIT', level: 'endpoint', message: 'no permit', policies: [] },
    levels: {
      endpoint: level(
        check({
          decision: 'deny',
          code: 'NO_MATCHING_PERMIT',
          policies: [],
          errors: ['platform/guard.x'],
          cedarDecision: 'allow',
          nearMisses: [miss],
        }),
      ),
      action: level(check()),
    },
    limits: [
      limitResult(),
      limitResult({
        name: 'tenant:acme/money',
        unit: 'micro_usd',
        mode: 'shadow',
        violated: true,
        reserved: 0,
      }),
      limitResult({ kind: 'concurrency', remaining: 0, reserved: 0, degraded: true, violated: true }),
    ],
    obligations: [{ type: 'require_approval', policy: 'platform/guard.agent' }],
    trace: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    httpRequestId: 'http-1',
    caller: { mode: 'verify', method: 'jwt', binding: 'dpop', cause: 'proof_replayed' },
  });
}

/** A limit as an answer tells it. */
export function limitResult(over: Partial<LimitResult> = {}): LimitResult {
  return {
    name: 'platform/user-burst',
    kind: 'window',
    unit: 'requests',
    scope: ['principal'],
    mode: 'enforce',
    limit: 24,
    used: 4,
    remaining: 20,
    resetSeconds: 60,
    reserved: 1,
    source: 'base 24',
    ...over,
  };
}

const TENANTS = ['acme', 'beta', 'gamma'] as const;
const tenant = fc.constantFrom(...TENANTS);

/** Offsets that meet the bounds of queries and of minutes. */
export const halfMinutes = fc.integer({ min: 0, max: 20 }).map(count => count * 30_000);

/** Few distinct values, so that filters meet. */
const arbitraryDecision: fc.Arbitrary<Omit<DecisionEntry, 'id'>> = fc
  .record({
    time: halfMinutes,
    tenant,
    owner: tenant,
    host: tenant,
    principal: fc.constantFrom('alice', 'bob', 'a,b', '!odd'),
    type: fc.constantFrom('User', 'Agent'),
    model: fc.constantFrom('Model', 'Tool'),
    action: fc.constantFrom('generate', 'invoke'),
    decision: fc.constantFrom('allow', 'deny'),
    code: fc.constantFrom(...REASON_CODES.slice(0, 4)),
    level: fc.constantFrom(...LEVELS),
    policies: fc.uniqueArray(fc.constantFrom('p1', 'p2', 'p3'), { maxLength: 2 }),
    bundles: fc.uniqueArray(fc.constantFrom('b1', 'b2', 'b3'), { maxLength: 2 }),
    requestId: fc.option(fc.constantFrom('r1', 'r2'), { nil: undefined }),
  })
  .map(one => {
    const base = decisionEntry(0);
    const { policies, decision, code } = one;
    return {
      ...base,
      time: TIME + one.time,
      request: requestOf({
        principal: { type: one.type, id: `${one.owner}/${one.principal}` },
        principalTenant: one.owner,
        resource: { type: one.model, id: `${one.host}/llm` },
        action: one.action,
        tenant: one.tenant,
        ...(one.requestId === undefined ? {} : { requestId: one.requestId }),
      }),
      decision,
      reason: { ...base.reason, code, level: one.level },
      levels: { [one.level]: level(check({ decision, code, policies })) },
      revision: {
        ...base.revision,
        layers: Object.fromEntries(one.bundles.map((digest, at) => [`tenant:t${at}`, digest])),
      },
    };
  });

const arbitraryEvent: fc.Arbitrary<Omit<EventEntry, 'id'>> = fc
  .record({
    time: halfMinutes,
    kind: fc.oneof(fc.constantFrom(...EVENT_KINDS), fc.constant('decision.outcome' as const)),
    /** Of an outcome: the decision that it ends. */
    ended: fc.integer({ min: 0, max: 8 }),
    tenant: fc.option(tenant, { nil: undefined }),
  })
  .map(one => {
    const { tenant: _, ...base } = eventEntry(0);
    return {
      ...base,
      kind: one.kind,
      ...(one.kind === 'decision.outcome' ? { subject: entryId(one.ended) } : {}),
      time: TIME + one.time,
      ...(one.tenant === undefined ? {} : { tenant: one.tenant }),
    };
  });

/** A sequence of entries with distinct ids. */
export const arbitraryEntries: fc.Arbitrary<readonly LogEntry[]> = fc
  .array(fc.oneof({ weight: 4, arbitrary: arbitraryDecision }, arbitraryEvent), { maxLength: 40 })
  .map(list => list.map((entry, at): LogEntry => ({ ...entry, id: entryId(at) })));
