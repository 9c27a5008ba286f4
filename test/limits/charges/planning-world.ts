/** Facts and layers for tests of planning: one principal, one model, and files of limits as a bundle writes them. */
import { type LimitsFile, limitsFileSchema } from '../../../src/domain/limit-definition.ts';
import type { LimitFacts, ModelFacts } from '../../../src/domain/limit-facts.ts';
import type { LayerName } from '../../../src/domain/ids.ts';
import { EntityUid } from '../../../src/domain/value.ts';
import { ActiveTenants } from '../../../src/limits/charges/fair-shares.ts';
import { type CompiledLayerLimits, compileLimits } from '../../../src/limits/charges/layer-limits.ts';
import type { ActionNames } from '../../../src/limits/charges/limit-match.ts';
import { LimitPlanner } from '../../../src/limits/charges/planner.ts';
import { UsageTable } from '../../../src/limits/charges/usage-history.ts';

/** 2026-11-01T12:00:00Z */
export const NOW = Date.UTC(2026, 10, 1, 12);

const ACTIONS: ActionNames = new Map([
  ['Inference', ['generate', 'embed']],
  ['generate', ['generate']],
  ['embed', ['embed']],
]);

export const MODEL: ModelFacts = {
  uid: new EntityUid('AI::Model', 'acme/fraud@3'),
  ancestors: new Set([
    'AI::Model::"acme/fraud"',
    'AI::ModelGroup::"acme/risk"',
    'AI::ModelGroup::"acme/shared"',
    'AI::Tenant::"acme"',
  ]),
  version: '3',
  stage: 'production',
  risk: 3,
  maxOutputTokens: 1_000,
  contextWindow: 8_000,
};

export const FACTS: LimitFacts = {
  principal: new EntityUid('AI::User', 'acme/alice'),
  principalAncestors: new Set(['AI::Team::"acme/fraud"', 'AI::Tenant::"acme"']),
  tier: 'pro',
  tenant: 'acme',
  plan: 'enterprise',
  model: MODEL,
  operation: 'generate',
  address: '192.0.2.7',
  key: 'key-1',
  pep: 'gateway',
  inputTokens: 100,
  maxOutputTokens: 200,
  limitSets: [],
};

export function facts(changes: Partial<LimitFacts>): LimitFacts {
  return { ...FACTS, ...changes };
}

/** Compiles a file as it is written; members that are undefined are not. */
export function layerOf(layer: LayerName, written: unknown): CompiledLayerLimits {
  const file: LimitsFile = limitsFileSchema.parse(JSON.parse(JSON.stringify(written)));
  return compileLimits(layer, file, ACTIONS);
}

/** A platform layer of limits that count requests of each principal unless they say otherwise. */
export function platformOf(...limits: readonly Readonly<Record<string, unknown>>[]): CompiledLayerLimits {
  return layerOf('platform', { limits: limits.map(limit => ({ ...WINDOW, ...limit })) });
}

/** 100 requests a minute of each principal, named `one`. */
export const WINDOW = {
  id: 'one',
  kind: 'window',
  unit: 'requests',
  limit: 100,
  per: '60s',
  key: ['principal'],
} as const;

export function plannerWith(history = new UsageTable()): LimitPlanner {
  return new LimitPlanner({ history, activity: new ActiveTenants() });
}
