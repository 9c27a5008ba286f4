/** What the routes use, put together. */
import type { Config } from '../config/settings.ts';
import { entityKey } from '../decision-log/subject-name.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import { Health } from '../edge/http/health.ts';
import type { Services } from '../edge/http/services.ts';
import { ActionNames } from '../pdp/action-names.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Anchors } from './anchors.ts';
import type { Certificates } from './certificates.ts';
import type { Control } from './control.ts';
import { QuarantineKeeper } from './engine-trust.ts';
import { makeEraser } from './erasure.ts';
import type { Events } from './events.ts';
import type { GuardDesk } from './guard.ts';
import { healthChecks } from './health-checks.ts';
import type { Identity } from './identity.ts';
import { InputVerifier } from './input-verifier.ts';
import type { Limits } from './limits.ts';
import { ExportKeeper } from './log-exports.ts';
import type { Policy } from './policy.ts';
import type { Profiles } from './pep-profiles.ts';
import type { Stores } from './stores.ts';

export interface EdgeParts {
  readonly config: Config;
  readonly stores: Stores;
  readonly anchors: Anchors;
  readonly events: Events;
  readonly policy: Policy;
  readonly guarding: Pick<GuardDesk, 'guard' | 'penalties'>;
  readonly limits: Limits;
  readonly identity: Identity;
  readonly certificates: Pick<Certificates, 'checks'>;
  readonly control: Control;
  readonly profiles: Profiles;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly version: string;
  readonly startedAt: string;
}

export function assembleEdge(parts: EdgeParts): Services {
  const { config, stores, anchors, events, policy, identity, clock, ids, metrics, logger } = parts;
  const activeBundles = activeBundlesOf(policy);
  metrics.observe({
    logQueueLength: () => stores.pressure().queuedEntries,
    logSize: () => stores.log.size,
    logOldestUnflushedSeconds: () => stores.pressure().oldestUnflushedSeconds,
    walBytes: () => ({ log: stores.pressure().walBytes }),
    activeBundles: () =>
      activeBundles().map(bundle => ({ ...bundle, activatedAt: Date.parse(bundle.activatedAt) })),
    directorySize: () => policy.directory.graph.size,
    breakGlassKeys: () => identity.keys.liveBreakGlass.length,
  });
  return {
    engine: policy.engine,
    outcomes: parts.limits.outcomes,
    actions: new ActionNames(policy.snapshots),
    effectiveLimits: parts.limits.effective,
    limitUsage: parts.limits.usage,
    descriptors: parts.limits.descriptors,
    access: policy.access,
    authenticator: identity.authenticator,
    keys: identity.keys,
    control: parts.control.gate,
    callers: identity.callers.authenticator,
    callerRules: identity.callers.defaultRules,
    callerKeys: identity.callers.keys,
    revocations: identity.callers.revocations,
    profiles: parts.profiles.service,
    gateways: parts.profiles.registry,
    guard: parts.guarding.guard,
    penalties: parts.guarding.penalties,
    directory: policy.directory,
    bundles: policy.bundles,
    trust: new QuarantineKeeper(policy.quarantine, events, clock, ids),
    log: stores.reader,
    evidence: evidenceOf(parts),
    subjects: stores.subjects.registry,
    audit: auditOf(parts),
    exports: new ExportKeeper(stores.exports, events, clock, ids),
    logOrigin: stores.log.origin,
    idempotency: stores.idempotency,
    health: new Health([
      ...healthChecks(stores, policy, anchors, identity.keys, config.anchor.maxAgeSeconds),
      ...parts.certificates.checks,
      ...parts.limits.checks,
    ]),
    status: statusOf(parts, activeBundles),
    metrics,
    logger,
    clock,
    ids,
    limits: config.http,
    version: parts.version,
    startedAt: parts.startedAt,
  };
}

function activeBundlesOf({ bundles }: Policy): Services['status']['layers'] {
  const operator = {
    keyId: 'system',
    roles: new Set(['admin'] as const),
    tenants: undefined,
    mayAssert: true,
  };
  return () =>
    bundles
      .layers(operator)
      .map(({ layer, active }) => ({ layer, digest: active.digest, activatedAt: active.at }));
}

function statusOf(
  { config, stores, policy }: EdgeParts,
  layers: Services['status']['layers'],
): Services['status'] {
  const { snapshots, quarantine, directory } = policy;
  return {
    layers,
    directory: () => ({ revision: directory.graph.revision, entities: directory.graph.size }),
    schemaDigest: () => snapshots.current?.schema.digest ?? null,
    engine: () => ({
      evaluator: config.engine.evaluator,
      crossCheck: config.engine.crossCheck,
      layersOnWasm: quarantine.layers,
    }),
    logSize: () => stores.log.size,
  };
}

function auditOf(parts: EdgeParts): Services['audit'] {
  const { stores, identity, events, policy, clock, ids, guarding } = parts;
  const { registry } = stores.subjects;
  const eraser = makeEraser(parts);
  const verifier = new InputVerifier({ log: stores.reader, registry, events, clock, ids });
  return {
    inputMatches: (claim, asker) => verifier.matches(claim, asker),
    async erase(request, actor) {
      const erased = await eraser.erase(request, actor);
      // the store has forgotten them with their owner
      identity.callers.keys.dropOwner(request.principal);
      guarding.penalties.forgetPrincipal(entityKey(request.principal));
      policy.access.forget();
      return erased;
    },
  };
}

function evidenceOf({ stores, anchors }: EdgeParts): Services['evidence'] {
  const { tree, verifierKey, log } = stores;
  return { tree, verifierKey, signCheckpoint: () => log.signCheckpoint(), cosigned: anchors.cosigned };
}
