/**
 * A PAP over memory stores and a real policy worker: what main.ts wires, without the edge. The store can be
 * made to fail before or after it has done its work.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CompilerClient, type PolicyWorkerApi } from '../../src/bundles/compiler-client.ts';
import { PolicyThread } from '../../src/bundles/policy-thread.ts';
import type { ActivationRequest, BundleStore } from '../../src/bundles/ports.ts';
import { BundleService, type PushRequest, type PushResult } from '../../src/bundles/service.ts';
import type { DirectoryStore } from '../../src/directory/ports.ts';
import { DirectoryService } from '../../src/directory/service.ts';
import type { StoredBundle } from '../../src/domain/bundle.ts';
import type { Clock } from '../../src/domain/clock.ts';
import type { Credential, Role } from '../../src/domain/credential.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { LayerName } from '../../src/domain/ids.ts';
import type { EventEntry } from '../../src/domain/log-entry.ts';
import { SnapshotPublisher } from '../../src/pdp/policy-publisher.ts';
import { SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { MemoryState } from '../../src/store/memory/state.ts';
import type { ControlPlane } from '../../src/control/control-plane.ts';
import { objectDigest } from '../../src/wiring/object-digest.ts';
import { gateOf, shippedPlane } from '../control/shipped-control.ts';

const ROOT = join(import.meta.dirname, '..', '..');
export const SHIPPED_SCHEMA = readFileSync(join(ROOT, 'schema', 'model-serving.cedarschema'), 'utf8');

/** A clock that moves by one millisecond with each reading. */
class TickingClock implements Clock {
  #now = Date.UTC(2026, 0, 1);
  now(): number {
    return this.#now++;
  }
  monotonic(): number {
    return performance.now();
  }
}

export type StoreCall = 'put' | 'get' | 'list' | 'activate' | 'active' | 'history';

/** A store whose next calls fail before or after they took effect. */
class FaultyBundleStore implements BundleStore {
  readonly #store: BundleStore;
  readonly #faults = new Map<StoreCall, { readonly when: 'before' | 'after'; times: number }>();

  constructor(store: BundleStore) {
    this.#store = store;
  }

  fail(call: StoreCall, when: 'before' | 'after', times = 1): void {
    this.#faults.set(call, { when, times });
  }

  put(bundle: StoredBundle, event: EventEntry) {
    return this.#run('put', () => this.#store.put(bundle, event));
  }
  get(digest: StoredBundle['digest']) {
    return this.#run('get', () => this.#store.get(digest));
  }
  list(query: Parameters<BundleStore['list']>[0]) {
    return this.#run('list', () => this.#store.list(query));
  }
  activate(request: ActivationRequest, event: EventEntry) {
    return this.#run('activate', () => this.#store.activate(request, event));
  }
  active() {
    return this.#run('active', () => this.#store.active());
  }
  history(layer: ActivationRequest['layer'], limit: number, below?: number) {
    return this.#run('history', () => this.#store.history(layer, limit, below));
  }

  async #run<T>(call: StoreCall, work: () => Promise<T>): Promise<T> {
    const fault = this.#faults.get(call);
    if (fault === undefined || fault.times === 0) return await work();
    fault.times--;
    if (fault.when === 'after') await work();
    throw new AppError('STORE_UNAVAILABLE', `the store failed ${fault.when} ${call}`);
  }
}

export interface Pap {
  readonly service: BundleService;
  readonly store: FaultyBundleStore;
  readonly snapshots: SnapshotHolder;
  readonly directory: DirectoryService;
  /** Events that reached the log, in order. */
  readonly events: EventEntry[];
  readonly thread: PolicyThread<PolicyWorkerApi>;
  /** The next event without a change cannot be logged. */
  failRecord(): void;
}

/** What survives a restart. */
export interface Disk {
  readonly bundles: BundleStore;
  readonly directory: DirectoryStore;
}

const SHIPPED_PLANE = shippedPlane();

export function memoryDisk(): Disk {
  return new MemoryState();
}

/** One worker for a test file: it holds nothing that tests could share. */
export function startWorker(options: { timeoutMs?: number } = {}): PolicyThread<PolicyWorkerApi> {
  const script = new URL('../../src/policy-worker.ts', import.meta.url);
  return new PolicyThread<PolicyWorkerApi>({ name: 'the policy compiler', script, ...options });
}

/** Starts as main.ts does: restore the bundles, load the directory by their schema, publish both. */
export async function startPap(
  disk: Disk,
  thread: PolicyThread<PolicyWorkerApi>,
  plane: ControlPlane = SHIPPED_PLANE,
): Promise<Pap> {
  const clock = new TickingClock();
  const ids = { next: () => randomUUID() };
  const events: EventEntry[] = [];
  const snapshots = new SnapshotHolder();
  const directory = new DirectoryService({
    store: disk.directory,
    clock,
    ids,
    digestOf: objectDigest,
    publish: graph => snapshots.publishDirectory(graph),
    announce: () => Promise.resolve(),
  });
  const publisher = new SnapshotPublisher(snapshots, directory);
  const store = new FaultyBundleStore(disk.bundles);
  let isLogDown = false;
  const failRecord = (): void => {
    isLogDown = true;
  };
  const record = (event: EventEntry): Promise<void> => {
    events.push(event);
    return Promise.resolve();
  };
  const service = new BundleService({
    store,
    compiler: new CompilerClient({
      checker: thread,
      builder: thread,
      clock,
      defaultSchemaText: SHIPPED_SCHEMA,
    }),
    publisher,
    events: {
      announce: record,
      record: event => {
        if (!isLogDown) return record(event);
        isLogDown = false;
        return Promise.reject(new AppError('LOG_UNAVAILABLE', 'the log failed'));
      },
    },
    guard: gateOf(plane).bundles,
    clock,
    ids,
    defaultSchemaText: SHIPPED_SCHEMA,
  });
  await service.restore();
  return { service, store, snapshots, directory, events, thread, failRecord };
}

export function credential(roles: readonly Role[], tenants?: readonly string[]): Credential {
  return {
    keyId: `key-${roles.join('-')}`,
    roles: new Set(roles),
    tenants: tenants === undefined ? undefined : new Set(tenants),
    mayAssert: true,
  };
}

export const ADMIN = credential(['admin']);

export interface BundleText {
  readonly layer: string;
  readonly version?: string;
  readonly files?: Readonly<Record<string, string>>;
}

/** The JSON form of a bundle. */
function bundle({ layer, version = '1', files = {} }: BundleText): Uint8Array {
  return Buffer.from(JSON.stringify({ manifest: { layer, version }, files }));
}

export function push(
  { service }: Pap,
  text: BundleText,
  options: Partial<PushRequest> = {},
  actor: Credential = ADMIN,
): Promise<PushResult> {
  return service.push(
    { form: 'json', body: bundle(text), dryRun: false, activate: false, ...options },
    actor,
  );
}

/** A permit that lets a tenant's members use its models. */
export function permit(id: string, tenant: string, condition = ''): string {
  return `@id("${id}") @reason("members may use models")
permit (principal in AI::Tenant::"${tenant}", action in AI::Action::"Use", resource in AI::Tenant::"${tenant}")${condition};\n`;
}

/** The digests that decide now, by layer. */
export function deciding({ snapshots }: Pap): Readonly<Partial<Record<LayerName, string>>> {
  return snapshots.current?.revision.layers ?? {};
}

/** The failure of a call that must fail. */
export async function failure(call: Promise<unknown>): Promise<AppError> {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof AppError) return error;
  throw new Error(`expected a failure, got ${String(error)}`, { cause: error });
}
