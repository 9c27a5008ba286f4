/**
 * What the bundle service needs from the threads and folders around it. Invariant: everything that may fail
 * (`check`, `build`, `prepareSchema`) happens before a bundle becomes active; `publish` and `commit` cannot.
 */
import type { CedarSchema } from '../cedar/schema.ts';
import type { PolicyIndex } from '../cedar/types.ts';
import type { BundleManifest, BundleReport, Digest } from '../domain/bundle.ts';
import type { Problem } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { LayerLimits } from '../limits/planning.ts';
import type { BundleForm, OpenedBundle } from './archive.ts';

/** A bundle as compilers take it. `files` always holds the schema of a platform bundle. */
export interface BundleContent {
  readonly digest: Digest;
  readonly manifest: BundleManifest;
  readonly files: Readonly<Record<string, string>>;
  /** Digest of the schema under which the bundle passed every check when it was pushed. */
  readonly checkedBy?: string | undefined;
}

/** One layer ready to decide. */
export interface BuiltLayer {
  readonly name: LayerName;
  readonly digest: Digest;
  readonly index: PolicyIndex;
  /** For the oracle: full id → Cedar text, or the JSON form of a linked template. */
  readonly sources: Readonly<Record<string, string | JsonObject>>;
  /** Absent: the layer declares none. */
  readonly limits?: LayerLimits | undefined;
}

/** All active layers with the schema that they were compiled by. */
export interface ActivePolicy {
  readonly schema: CedarSchema;
  readonly layers: ReadonlyMap<LayerName, BuiltLayer>;
}

/** A check of one bundle beside the layers that are active with it. */
export interface CheckJob {
  readonly bundle: BundleContent;
  /** The schema of the platform layer under which the bundle is to be active. */
  readonly schemaText: string;
  /** Layers that the tests see: the platform layer, or for a platform bundle all tenant layers. */
  readonly companions: readonly BundleContent[];
  readonly runTests: boolean;
}

/** Parses, validates, tests and compiles bundles off the main thread. */
export interface BundleCompiler {
  /**
   * Unpacks a pushed bundle. Rejects with AppError PAYLOAD_TOO_LARGE or BUNDLE_INVALID.
   * @param schemaText the schema of the platform layer: when some files are refused, the others are held against it
   */
  open(form: BundleForm, body: Uint8Array, schemaText?: string): Promise<OpenedBundle>;
  /** Rejects with AppError BUNDLE_INVALID or BUNDLE_TESTS_FAILED listing every problem. */
  check(job: CheckJob): Promise<BundleReport>;
  /** Resolves a schema. Rejects with AppError BUNDLE_INVALID. */
  schema(text: string): Promise<CedarSchema>;
  /**
   * Parses and validates a bundle, and builds its layer in slices of time that let decisions run in between.
   * Rejects with AppError BUNDLE_INVALID.
   */
  build(bundle: BundleContent, schema: CedarSchema): Promise<BuiltLayer>;
}

/** The directory as another schema reads it, while its writes wait. */
export interface SchemaChange {
  /** Entities that do not fit; when there are any, only `abandon` may be called. */
  readonly problems: readonly Problem[];
  /** Publishes policy and directory in one swap and lets writes go on. Synchronous; does not fail. */
  commit(policy: ActivePolicy): void;
  /** Lets writes go on with everything as it was. */
  abandon(): void;
}

/** Where decisions find the active layers. */
export interface PolicyPublisher {
  /** Publishes layers of an unchanged schema in one swap. Synchronous; does not fail. */
  publish(policy: ActivePolicy): void;
  /** Reads every entity of the directory by another schema. */
  prepareSchema(schema: CedarSchema): Promise<SchemaChange>;
}

/** The administrative side of the decision log. */
export interface EventRecorder {
  /**
   * Brings an event that the store holds into the log. Never rejects: the change is done, and what could not be
   * logged stays in the store's outbox to be tried again.
   */
  announce(event: EventEntry): Promise<void>;
  /** Logs an event without a change. Durable when it resolves. */
  record(event: EventEntry): Promise<void>;
}
