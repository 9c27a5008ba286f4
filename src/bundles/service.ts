/**
 * The PAP: push, activate, roll back and look up bundles. Invariants: a bundle that fails in any way changes
 * nothing; every change and every refused push is an event with its actor; what a credential may not see does
 * not exist for it.
 */
import type { BundleForm, OpenedBundle } from './archive.ts';
import type {
  Activation,
  ActivationResult,
  BundleReport,
  BundleSummary,
  Digest,
  StoredBundle,
} from '../domain/bundle.ts';
import { type Clock, type IdSource, timestamp } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';
import type { JsonObject } from '../domain/json.ts';
import type { EventEntry, EventKind } from '../domain/log-entry.ts';
import { activationConflict } from './activation-conflict.ts';
import { type ActiveConditions, isAsExpected, requireActive } from './active-conditions.ts';
import { Activator } from './activator.ts';
import type { BundleCompiler, BundleContent, EventRecorder, PolicyPublisher } from './pipeline.ts';
import type { ActivationRequest, BundleStore } from './ports.ts';
import { SerialQueue } from './serial-queue.ts';

/** Places of problems of a refused push that its event keeps: enough to see what was tried. */
const MAX_LOGGED_PROBLEMS = 10;

export interface PushRequest {
  readonly form: BundleForm;
  readonly body: Uint8Array;
  /** Checks and reports; stores and logs nothing. */
  readonly dryRun: boolean;
  /** Needs the right to activate as well. */
  readonly activate: boolean;
}

/** What POST /v1/bundles answers. `isNew`: 201, else 200. */
export interface PushResult {
  readonly digest: Digest;
  readonly layer: LayerName;
  /** `checked`: a dry run, nothing was stored. */
  readonly state: 'checked' | 'staged' | 'active';
  readonly report: BundleReport;
  readonly isNew: boolean;
}

export interface ActivateRequest extends ActiveConditions {
  /** null: no bundle may be active; undefined: whatever is. */
  readonly expectedActive?: Digest | null | undefined;
  readonly reason: string;
}

/** A bundle in lists, with whether it decides now. */
export interface BundleView extends BundleSummary {
  readonly state: 'staged' | 'active';
}

export interface LayerView {
  readonly layer: LayerName;
  readonly active: Activation;
}

/** What the control plane says of a push, of an activation and of a rollback. @throws AppError */
export interface BundleGuard {
  push(layer: LayerName, actor: Credential): void;
  /** Asked before it is known what is to be activated. */
  activateAtAll(actor: Credential): void;
  activate(kind: 'activate' | 'rollback', layer: LayerName, pushedBy: string, actor: Credential): void;
}

export interface BundleServiceOptions {
  readonly store: BundleStore;
  readonly compiler: BundleCompiler;
  readonly publisher: PolicyPublisher;
  readonly events: EventRecorder;
  readonly guard: BundleGuard;
  readonly clock: Clock;
  readonly ids: IdSource;
  /** The shipped schema: of the platform layer while none is active, and of platform bundles without one. */
  readonly defaultSchemaText: string;
}

export class BundleService {
  readonly #options: BundleServiceOptions;
  readonly #activator: Activator;
  readonly #activations = new SerialQueue();

  constructor(options: BundleServiceOptions) {
    this.#options = options;
    this.#activator = new Activator(options);
  }

  /**
   * Publishes the bundles that were active before. Must come before everything else.
   * @throws AppError BUNDLE_INVALID, SCHEMA_BREAKS_ACTIVE, STORE_UNAVAILABLE: then the service must not start
   */
  restore(): Promise<void> {
    return this.#activations.run(() => this.#activator.restore());
  }

  /**
   * Rejects with AppError BUNDLE_INVALID, BUNDLE_TESTS_FAILED, SCHEMA_BREAKS_ACTIVE, PAYLOAD_TOO_LARGE,
   * TENANT_NOT_ALLOWED, ROLE_REQUIRED or STORE_UNAVAILABLE. When only the activation failed, the bundle stays
   * staged and the failure says so.
   */
  async push(request: PushRequest, actor: Credential): Promise<PushResult> {
    const { guard } = this.#options;
    const activates = request.activate && !request.dryRun;
    if (activates) guard.activateAtAll(actor);
    const opened = await this.#open(request, actor);
    const { digest, manifest } = opened;
    const { layer } = manifest;
    guard.push(layer, actor);
    const known = await this.#options.store.get(digest);
    // Before anything is kept: what will not be activated here is pushed without `activate`.
    if (activates && this.#stateOf(layer, digest) !== 'active') {
      guard.activate('activate', layer, known?.pushedBy ?? actor.keyId, actor);
    }
    // A dry run asks about now: layers may have changed since the same content was pushed.
    const report =
      request.dryRun || known === undefined ? await this.#check(opened, request, actor) : known.report;
    if (request.dryRun) return { digest, layer, state: 'checked', report, isNew: known === undefined };
    const isNew = known === undefined && (await this.#store(opened, report, actor));
    if (activates && this.#stateOf(layer, digest) !== 'active') {
      await this.activate(digest, { reason: `activated at push of version ${manifest.version}` }, actor);
    }
    return { digest, layer, state: this.#stateOf(layer, digest), report, isNew };
  }

  /**
   * Makes a stored bundle the active one of its layer. Activating what is active already changes nothing.
   * Rejects with AppError NOT_FOUND, ACTIVATION_CONFLICT, PRECONDITION_FAILED, BUNDLE_INVALID, BUNDLE_TESTS_FAILED,
   * SCHEMA_BREAKS_ACTIVE or STORE_UNAVAILABLE.
   */
  async activate(digest: Digest, request: ActivateRequest, actor: Credential): Promise<ActivationResult> {
    const expected = request.expectedActive;
    const bundle = await this.get(digest, actor);
    const { layer } = bundle.manifest;
    this.#options.guard.activate('activate', layer, bundle.pushedBy, actor);
    const active = this.#activator.activations.get(layer)?.digest ?? null;
    if (active !== digest && isAsExpected(active, request)) await this.#activator.rehearse(bundle);
    return this.#activations.run(async () => {
      await this.#activator.synchronise();
      const current = this.#activator.activations.get(layer);
      requireActive(layer, current?.digest ?? null, request);
      if (current?.digest === digest && (expected === undefined || expected === digest)) {
        return { ...current, warnings: [] };
      }
      return await this.#switchTo(bundle, 'activate', expected, request.reason, actor);
    });
  }

  /**
   * Activates the bundle that was active before the present one. Two that go back from the same bundle at once would
   * come out where they began: `expectedActive` names the bundle that is to be left.
   * Rejects with AppError NOT_FOUND, ACTIVATION_CONFLICT, PRECONDITION_FAILED, NOTHING_TO_ROLL_BACK, BUNDLE_INVALID,
   * SCHEMA_BREAKS_ACTIVE or STORE_UNAVAILABLE.
   */
  rollback(
    layer: LayerName,
    reason: string,
    actor: Credential,
    conditions: ActiveConditions & { readonly expectedActive?: Digest | undefined } = {},
  ): Promise<ActivationResult> {
    const { expectedActive } = conditions;
    return this.#activations.run(async () => {
      await this.#activator.synchronise();
      const current = this.#visibleLayer(layer, actor);
      requireActive(layer, current.digest, conditions);
      if (expectedActive !== undefined && expectedActive !== current.digest) {
        throw activationConflict(layer, current.digest);
      }
      if (current.previous === null) {
        throw new AppError('NOTHING_TO_ROLL_BACK', `layer \`${layer}\` had no bundle before the active one`);
      }
      const bundle = await this.get(current.previous, actor);
      this.#options.guard.activate('rollback', layer, bundle.pushedBy, actor);
      return await this.#switchTo(bundle, 'rollback', current.digest, reason, actor);
    });
  }

  /** Rejects with AppError NOT_FOUND, also for bundles of layers that the credential may not see. */
  async get(digest: Digest, actor: Credential): Promise<StoredBundle & BundleView> {
    const bundle = await this.#options.store.get(digest);
    if (bundle === undefined || !maySee(actor, bundle.manifest.layer)) {
      throw new AppError('NOT_FOUND', `there is no bundle ${digest}`);
    }
    return { ...bundle, state: this.#stateOf(bundle.manifest.layer, digest) };
  }

  /** Newest first. A page may be short of `limit` before the last one. */
  async list(
    query: { readonly layer?: LayerName; readonly limit: number; readonly cursor?: string },
    actor: Credential,
  ): Promise<{ items: readonly BundleView[]; nextCursor: string | null }> {
    if (query.layer !== undefined && !maySee(actor, query.layer)) return { items: [], nextCursor: null };
    const items: BundleView[] = [];
    let cursor = query.cursor;
    do {
      const page = await this.#options.store.list({
        ...(query.layer === undefined ? {} : { layer: query.layer }),
        limit: query.limit - items.length,
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const summary of page.items) {
        const { layer } = summary.manifest;
        if (maySee(actor, layer)) items.push({ ...summary, state: this.#stateOf(layer, summary.digest) });
      }
      if (page.nextCursor === null) return { items, nextCursor: null };
      cursor = page.nextCursor;
    } while (items.length < query.limit);
    return { items, nextCursor: cursor };
  }

  /** Layers with an active bundle, sorted by name. */
  layers(actor: Credential): readonly LayerView[] {
    return [...this.#activator.activations]
      .filter(([layer]) => maySee(actor, layer))
      .map(([layer, active]) => ({ layer, active }))
      .sort((left, right) => (left.layer < right.layer ? -1 : 1));
  }

  /**
   * Newest first; with `below` those of an earlier sequence. Rejects with AppError NOT_FOUND when nothing was ever
   * active there.
   */
  async history(
    layer: LayerName,
    limit: number,
    actor: Credential,
    below?: number,
  ): Promise<readonly Activation[]> {
    const history = maySee(actor, layer) ? await this.#options.store.history(layer, limit, below) : [];
    if (history.length === 0 && (below === undefined || !maySee(actor, layer))) throw noLayer(layer);
    return history;
  }

  async #open({ form, body, dryRun }: PushRequest, actor: Credential): Promise<OpenedBundle & BundleContent> {
    let opened: OpenedBundle;
    try {
      opened = await this.#options.compiler.open(form, body, this.#activator.schemaText);
    } catch (error) {
      if (!dryRun) await this.#recordRefusal(error, 'unreadable', {}, actor);
      throw error;
    }
    const { layer } = opened.manifest;
    // The same answer whether or not the tenant exists or has bundles.
    if (!maySee(actor, layer)) {
      throw new AppError('TENANT_NOT_ALLOWED', `this credential may not push bundles of layer \`${layer}\``);
    }
    return opened;
  }

  async #check(opened: OpenedBundle, { dryRun }: PushRequest, actor: Credential): Promise<BundleReport> {
    try {
      return await this.#activator.check(opened);
    } catch (error) {
      const { layer, version } = opened.manifest;
      if (!dryRun) await this.#recordRefusal(error, opened.digest, { layer, version }, actor);
      throw error;
    }
  }

  /** False when somebody else stored the same content meanwhile. */
  async #store(opened: OpenedBundle, report: BundleReport, actor: Credential): Promise<boolean> {
    const { digest, manifest, files, archive } = opened;
    const { layer, version } = manifest;
    const now = this.#options.clock.now();
    const event = this.#event('bundle.push', digest, now, actor, layer, {
      layer,
      version,
      policies: report.policies,
      tests: report.tests.passed,
      digests: { before: null, after: digest },
    });
    const pushedAt = timestamp(now);
    const bundle: StoredBundle = {
      digest,
      manifest,
      files,
      archive,
      report,
      pushedBy: actor.keyId,
      pushedAt,
    };
    const isNew = await this.#options.store.put(bundle, event);
    if (isNew) await this.#options.events.announce(event);
    return isNew;
  }

  async #switchTo(
    bundle: StoredBundle,
    kind: 'activate' | 'rollback',
    expectedActive: Digest | null | undefined,
    reason: string,
    actor: Credential,
  ): Promise<ActivationResult> {
    const { digest } = bundle;
    const { layer, version } = bundle.manifest;
    const now = this.#options.clock.now();
    const previous = this.#activator.activations.get(layer)?.digest ?? null;
    const digests = { before: previous, after: digest };
    const recorded: { event: EventEntry; warnings: readonly Problem[] }[] = [];
    const eventOf = (warnings: readonly Problem[]): EventEntry => {
      const details = { layer, version, digest, previous, reason, digests, ...warningDetails(warnings) };
      const event = this.#event(`bundle.${kind}`, layer, now, actor, layer, details);
      recorded.push({ event, warnings });
      return event;
    };
    const request = { layer, digest, expectedActive, actor: actor.keyId, reason, kind, at: timestamp(now) };
    try {
      const activation = await this.#activator.activate(bundle, request, eventOf);
      for (const { event } of recorded) await this.#options.events.announce(event);
      return activation;
    } catch (error) {
      const [made] = recorded;
      if (made === undefined) throw error;
      return { ...(await this.#resolveDoubt(error, request, made.event)), warnings: made.warnings };
    }
  }

  /** A store that failed may still have recorded the activation: what it has on record is what must decide. */
  async #resolveDoubt(error: unknown, request: ActivationRequest, event: EventEntry): Promise<Activation> {
    if (!(error instanceof AppError) || error.code !== 'STORE_UNAVAILABLE') throw error;
    try {
      await this.#activator.synchronise();
    } catch {
      // The store is still away: the old layers keep deciding, and the next operation asks again.
      throw error;
    }
    const current = this.#activator.activations.get(request.layer);
    if (current?.digest !== request.digest || current.at !== request.at) throw error;
    await this.#options.events.announce(event);
    return current;
  }

  async #recordRefusal(error: unknown, subject: string, about: JsonObject, actor: Credential): Promise<void> {
    if (!(error instanceof AppError) || error.status >= 500) return;
    const { code, problems } = error;
    // Places alone: a message may quote an entity that does not fit, or what a test expected of a principal.
    const places = problems
      .map(({ file, line, column }) => [file, line, column].filter(part => part !== undefined).join(':'))
      .filter(place => place !== '')
      .slice(0, MAX_LOGGED_PROBLEMS);
    const layer = typeof about['layer'] === 'string' ? about['layer'] : '';
    const details = { ...about, code, places, problemCount: problems.length };
    const now = this.#options.clock.now();
    await this.#options.events.record(this.#event('bundle.reject', subject, now, actor, layer, details));
  }

  #event(
    kind: EventKind,
    subject: string,
    time: number,
    actor: Credential,
    layer: string,
    details: JsonObject,
  ): EventEntry {
    const tenant = layer.startsWith('tenant:') ? { tenant: layer.slice('tenant:'.length) } : {};
    return { kind, id: this.#options.ids.next(), time, actor: actor.keyId, ...tenant, subject, details };
  }

  #visibleLayer(layer: LayerName, actor: Credential): Activation {
    const current = maySee(actor, layer) ? this.#activator.activations.get(layer) : undefined;
    if (current === undefined) throw noLayer(layer);
    return current;
  }

  #stateOf(layer: LayerName, digest: Digest): 'staged' | 'active' {
    return this.#activator.activations.get(layer)?.digest === digest ? 'active' : 'staged';
  }
}

/** What an entry says of warnings: the first ones, and how many there are. */
function warningDetails(warnings: readonly Problem[]): JsonObject {
  if (warnings.length === 0) return {};
  const shown = warnings.slice(0, MAX_LOGGED_PROBLEMS).map(({ message }) => message);
  return { warnings: shown, warningCount: warnings.length };
}

function noLayer(layer: LayerName): AppError {
  return new AppError('NOT_FOUND', `layer \`${layer}\` has no active bundle`);
}

/** The platform layer is for credentials that are not limited to tenants. */
function maySee({ tenants }: Credential, layer: LayerName): boolean {
  if (tenants === undefined) return true;
  return layer !== 'platform' && tenants.has(layer.slice('tenant:'.length));
}
