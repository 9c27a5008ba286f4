/**
 * What the routes call. Invariant: the edge knows services and ports alone, never a store; each member is as
 * narrow as the routes need.
 */
import type { BundleService } from '../../bundles/service.ts';
import type { ControlGate } from '../../control/control-gate.ts';
import type { DirectoryService } from '../../directory/service.ts';
import type { CosignedCheckpoint } from '../../decision-log/anchor-publisher.ts';
import type {
  LogExport,
  LogReader,
  LogTree,
  SignedCheckpoint,
  SubjectResolver,
} from '../../decision-log/ports.ts';
import type { CallerRules } from '../../domain/caller-rules.ts';
import type { Clock, IdSource } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import type { EntityRef, LayerName } from '../../domain/ids.ts';
import type { CallerAuthenticator } from '../../identity/caller.ts';
import type { CallerKeyService } from '../../identity/caller-keys/key-service.ts';
import type { ProfileRegistry } from '../../identity/pep-profiles/profile-registry.ts';
import type { ProfileService } from '../../identity/pep-profiles/profile-service.ts';
import type { RevocationService } from '../../identity/callers/revocation-service.ts';
import type { KeyService } from '../../identity/key-service.ts';
import type { IdempotencyStore } from '../../identity/ports.ts';
import type { Guard } from '../../limits/guards/guard.ts';
import type { PenaltyService } from '../../limits/guards/penalty-service.ts';
import type { ActionNames } from '../../pdp/action-names.ts';
import type { AccessQueries } from '../../pdp/access/access-queries.ts';
import type { EffectiveLimitsDesk } from '../../pdp/effective-limits.ts';
import type { DecisionEngine } from '../../pdp/engine.ts';
import type { DescriptorDesk } from '../../pdp/descriptor-limits.ts';
import type { LimitUsageDesk } from '../../pdp/limit-usage.ts';
import type { OutcomeDesk } from '../../pdp/outcome-desk.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Authenticator } from './authentication.ts';
import type { Health } from './health.ts';

/** Limits of the edge, from the configuration. In bytes. */
interface EdgeLimits {
  readonly maxBodyBytes: number;
  readonly maxBundleBytes: number;
  readonly maxImportBytes: number;
}

/** How things stand, for GET /v1/status. */
interface StatusSource {
  readonly layers: () => readonly { layer: LayerName; digest: string; activatedAt: string }[];
  readonly directory: () => { revision: number; entities: number };
  /** `sha256:…` of the active schema; null before there is one. */
  readonly schemaDigest: () => string | null;
  readonly engine: () => { evaluator: string; crossCheck: string; layersOnWasm: readonly LayerName[] };
  /** Durable entries. */
  readonly logSize: () => number;
}

/** Layers that cedar-wasm decides because the compiled evaluator disagreed with it. */
interface EngineTrust {
  /**
   * Lets a layer be decided by the compiled evaluator again, and logs who did it.
   * Rejects with AppError NOT_FOUND when it is, or LOG_UNAVAILABLE, LOG_BACKPRESSURE; then nothing changed.
   */
  restore(layer: LayerName, reason: string, actor: Credential): Promise<void>;
}

/** The log as evidence. */
interface LogEvidence {
  readonly tree: LogTree;
  /** Verifier key of checkpoints (c2sp.org/signed-note): `<origin>+<key id>+<key>`. */
  readonly verifierKey: string;
  /** As DecisionLog.signCheckpoint. */
  readonly signCheckpoint: () => Promise<SignedCheckpoint>;
  /** The newest checkpoint that a witness cosigned; undefined: none yet. */
  readonly cosigned: () => CosignedCheckpoint | undefined;
}

/** Copies of the log that hold retention back. What begins, goes back or ends is logged before it takes effect. */
interface ExportKeeping {
  list(): Promise<readonly LogExport[]>;
  /** Rejects with AppError INVALID_REQUEST when there are too many, LOG_UNAVAILABLE or LOG_BACKPRESSURE. */
  acknowledge(name: string, acknowledged: number, actor: Credential): Promise<LogExport>;
  /** @returns whether there was one. Rejects with AppError LOG_UNAVAILABLE or LOG_BACKPRESSURE. */
  remove(name: string, actor: Credential): Promise<boolean>;
}

/** A principal to be forgotten. */
export interface ErasureRequest {
  readonly principal: EntityRef;
  /** Stays in the log; must not name the principal. */
  readonly reason: string;
  readonly legalBasis?: string | undefined;
  /** Deletes the entity first, where there is one. */
  readonly deleteEntity: boolean;
}

/** What was forgotten, and what still names the principal. */
export interface ErasedPrincipal {
  /** Absent: it was never registered. */
  readonly pseudonym?: string;
  readonly entityDeleted: boolean;
  readonly erased: { readonly revisions: number; readonly answers: number };
  readonly stillNamedBy: {
    readonly entities: number;
    readonly bundles: number;
    /** Whether decisions of the former leaf format name it; null: the index could not say. */
    readonly clearEntries: boolean | null;
  };
}

/** An input that somebody says was that of a decision. */
export interface InputClaim {
  readonly decisionId: string;
  readonly hash: string;
  /** From what the hash was made, for the log. */
  readonly given: 'hash' | 'input' | 'text';
}

interface Audit {
  /**
   * Rejects with AppError NOT_FOUND, INPUT_NOT_VERIFIABLE, TOO_MANY_VERIFICATIONS, LOG_UNAVAILABLE or
   * LOG_BACKPRESSURE.
   */
  inputMatches(claim: InputClaim, asker: Credential): Promise<boolean>;
  /**
   * Rejects with AppError INVALID_REQUEST, TENANT_NOT_ALLOWED, PRINCIPAL_EXISTS, LOG_UNAVAILABLE or
   * STORE_UNAVAILABLE; then it may be asked for again.
   */
  erase(request: ErasureRequest, actor: Credential): Promise<ErasedPrincipal>;
}

export interface Services {
  /** Decides who may do what to Duramen itself. */
  readonly control: ControlGate;
  readonly engine: Pick<DecisionEngine, 'decide' | 'refuse'>;
  /** What becomes of calls that were allowed. */
  readonly outcomes: Pick<OutcomeDesk, 'report' | 'extend' | 'withdraw'>;
  /** Who may do what on which models. */
  readonly access: Pick<AccessQueries, 'page'>;
  /** What actions there are. */
  readonly actions: Pick<ActionNames, 'objectTo'>;
  /** Which limits hold. */
  readonly effectiveLimits: Pick<EffectiveLimitsDesk, 'find'>;
  /** Limits by what gateways know of requests. */
  readonly descriptors: Pick<DescriptorDesk, 'check'>;
  /** Where limits stand. */
  readonly limitUsage: Pick<LimitUsageDesk, 'usage' | 'reset'>;
  readonly authenticator: Authenticator;
  readonly keys: KeyService;
  /** Verifies the credentials of end callers. */
  readonly callers: CallerAuthenticator;
  /** Rules for callers of gateways whose key has none; undefined: such gateways assert. */
  readonly callerRules: CallerRules | undefined;
  /** Keys of end callers. */
  readonly callerKeys: CallerKeyService;
  readonly revocations: Pick<RevocationService, 'revoke' | 'page'>;
  /** What is believed of each gateway. */
  readonly profiles: Pick<ProfileService, 'list' | 'get' | 'put' | 'remove'>;
  /** The same, as those who answer gateways look them up. */
  readonly gateways: Pick<ProfileRegistry, 'derive'>;
  /** Loads that are reported. */
  readonly guard: Pick<Guard, 'report' | 'loads'>;
  /** Who is blocked after violations of limits. */
  readonly penalties: Pick<PenaltyService, 'page' | 'lift'>;
  readonly directory: DirectoryService;
  readonly bundles: BundleService;
  readonly trust: EngineTrust;
  readonly log: LogReader;
  readonly evidence: LogEvidence;
  readonly exports: ExportKeeping;
  readonly subjects: SubjectResolver;
  readonly audit: Audit;
  readonly idempotency: IdempotencyStore;
  readonly health: Health;
  readonly status: StatusSource;
  /** Name of the decision log. */
  readonly logOrigin: string;
  /** RFC 3339 UTC. */
  readonly startedAt: string;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly limits: EdgeLimits;
  /** Version of this build. */
  readonly version: string;
}
