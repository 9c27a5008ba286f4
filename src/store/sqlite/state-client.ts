/**
 * The state store as the main thread sees it: the ports over one worker. Invariant: a promise that has
 * resolved means that the change and its event are on the disk.
 */
import type { BundleStore } from '../../bundles/ports.ts';
import type { Outbox, SubjectChunk, SubjectStore } from '../../decision-log/ports.ts';
import type { StoreAges } from '../../decision-log/store-ages.ts';
import type { DirectoryStore, EntityWrite } from '../../directory/ports.ts';
import type { EntityRecord } from '../../domain/entity.ts';
import { AppError } from '../../domain/errors.ts';
import type { EntityRef } from '../../domain/ids.ts';
import type { IdempotencyStore, KeyStore, RevocationStore } from '../../identity/ports.ts';
import type { CallerKeyStore, StoredCallerKey } from '../../identity/caller-keys/ports.ts';
import type { ProfileStore } from '../../identity/pep-profiles/ports.ts';
import type { PenaltyStore } from '../../limits/guards/penalty-store.ts';
import { RpcClient } from './rpc.ts';
import type { StateApi } from './state-api.ts';
import { type LoadedCallerKeys, parseCallerKeys } from './state-caller-keys.ts';
import type { StateFolder } from './state-database.ts';
import type { LoadedChunk, StagedChunk } from './state-directory.ts';
import { parsePenalty } from './state-penalties.ts';
import { parseProfile } from './state-pep-profiles.ts';
import type { LoadedSubjects } from './state-subjects.ts';
import { isObject, parseStored } from './stored-json.ts';

export interface StateOptions extends StateFolder {
  /** Hears when the worker stops and when it runs again. Must not throw. */
  readonly onHealth?: (healthy: boolean, detail: string) => void;
}

/** state.db and subjects.db with everything in them. */
export class StateStore {
  readonly directory: DirectoryStore;
  readonly bundles: BundleStore;
  readonly keys: KeyStore;
  readonly callerKeys: CallerKeyStore;
  readonly profiles: ProfileStore;
  readonly penalties: PenaltyStore;
  readonly revocations: RevocationStore;
  readonly outbox: Outbox;
  readonly idempotency: IdempotencyStore;
  readonly subjects: SubjectStore;
  readonly ages: StoreAges;
  /** Names of migrations of a newer version that this version can live with; worth a warning. */
  readonly newerMigrations: readonly string[];
  readonly #rpc: RpcClient<StateApi>;

  private constructor(rpc: RpcClient<StateApi>, newerMigrations: readonly string[]) {
    this.#rpc = rpc;
    this.newerMigrations = newerMigrations;
    this.directory = directoryStore(rpc);
    this.bundles = bundleStore(rpc);
    this.keys = {
      list: () => rpc.call('keyList'),
      create: (key, event) => rpc.call('keyCreate', key, event),
      revoke: (id, at, event) => rpc.call('keyRevoke', id, at, event),
    };
    this.callerKeys = {
      load: () => callerKeyChunks(rpc),
      commit: (change, events) => rpc.call('callerKeysCommit', change, events),
      recordUses: uses => rpc.call('callerKeysRecordUses', uses),
      remove: ids => rpc.call('callerKeysRemove', ids),
    };
    this.revocations = {
      list: () => rpc.call('revocationList'),
      add: (revocation, event) => rpc.call('revocationAdd', revocation, event),
    };
    this.profiles = {
      async load() {
        const { revision, rows } = await rpc.call('profilesLoad');
        return { revision, profiles: rows.map(parseProfile) };
      },
      write: (change, event) => rpc.call('profilesWrite', change, event),
    };
    this.penalties = {
      load: async () => (await rpc.call('penaltyList')).map(parsePenalty),
      save: (penalty, endedBefore, event) => rpc.call('penaltySave', penalty, endedBefore, event),
      remove: (kind, id, event) => rpc.call('penaltyRemove', kind, id, event),
    };
    this.outbox = {
      pending: limit => rpc.call('outboxPending', limit),
      acknowledge: ids => rpc.call('outboxAcknowledge', ids),
    };
    this.subjects = subjectStore(rpc);
    this.ages = {
      read: () => rpc.call('ages'),
      adopt: (store, log, seen) => rpc.call('ageAdopt', store, log, seen),
      erasuresDue: () => rpc.call('erasuresDue'),
      erasuresRepeated: () => rpc.call('erasuresRepeated'),
    };
    this.idempotency = {
      find: (credential, key) => rpc.call('answerFind', credential, key),
      save: (credential, key, answer, now) => rpc.call('answerSave', credential, key, answer, now),
    };
  }

  /**
   * Opens or makes state.db and subjects.db in the folder and takes the folder's lock.
   * @throws AppError STORE_UNAVAILABLE with what to do: folder in use, not writable, database damaged or newer
   */
  static async open({ onHealth, ...folder }: StateOptions): Promise<StateStore> {
    const rpc = await RpcClient.start<StateApi>({
      name: 'the state store',
      script: new URL('./state-worker.ts', import.meta.url),
      workerData: folder,
      ...(onHealth === undefined ? {} : { onHealth }),
    });
    return new StateStore(rpc, await rpc.call('newerMigrations'));
  }

  /** Whether it can be asked now; for /readyz. */
  get healthy(): boolean {
    return this.#rpc.healthy;
  }

  /** Calls that are not answered. */
  get waiting(): number {
    return this.#rpc.waiting;
  }

  /** Finishes what was asked, then releases the database and the lock. */
  close(): Promise<void> {
    return this.#rpc.close();
  }
}

function directoryStore(rpc: RpcClient<StateApi>): DirectoryStore {
  return {
    revision: () => rpc.call('directoryRevision'),
    load: () => chunks(after => rpc.call('directoryLoad', after)),
    async begin() {
      const id = await rpc.call('directoryBegin');
      return {
        write: chunk => rpc.call('directoryStage', id, toStaged(chunk)),
        commit: (at, event) => rpc.call('directoryCommit', id, at, event),
        rollback: () => rpc.call('directoryRollback', id),
      };
    },
    async at(ref, revision) {
      const chunk = await rpc.call('directoryAt', nameOf(ref), revision);
      return toRecords(chunk)[0];
    },
    loadAt: revision => chunks(after => rpc.call('directoryLoadAt', revision, after)),
  };
}

function bundleStore(rpc: RpcClient<StateApi>): BundleStore {
  return {
    put: (bundle, event) => rpc.call('bundlePut', bundle, event),
    get: digest => rpc.call('bundleGet', digest),
    async list({ layer, limit, cursor }) {
      const below = cursor === undefined ? Number.MAX_SAFE_INTEGER : parseCursor(cursor);
      const { items, next } = await rpc.call('bundleList', layer, limit, below);
      return { items, nextCursor: next === undefined ? null : String(next) };
    },
    activate: (request, event) => rpc.call('bundleActivate', request, event),
    active: () => rpc.call('bundleActive'),
    history: (layer, limit, below = Number.MAX_SAFE_INTEGER) =>
      rpc.call('bundleHistory', layer, limit, below),
  };
}

function subjectStore(rpc: RpcClient<StateApi>): SubjectStore {
  return {
    load: () => subjectChunks(rpc),
    add: (subjects, at) => rpc.call('subjectsAdd', subjects, at),
    monthKeys: () => rpc.call('subjectsMonthKeys'),
    addMonthKeys: (keys, at) => rpc.call('subjectsAddMonthKeys', keys, at),
    dropMonthKeys: before => rpc.call('subjectsDropMonthKeys', before),
    erase: (erasure, event) => rpc.call('subjectsErase', erasure, event),
    replaceNameKeys: keys => rpc.call('subjectsReplaceNameKeys', keys),
  };
}

/** As `chunks`. */
async function* callerKeyChunks(rpc: RpcClient<StateApi>): AsyncIterableIterator<readonly StoredCallerKey[]> {
  let pending: Promise<LoadedCallerKeys> | undefined = rpc.call('callerKeysLoad', 0);
  while (pending !== undefined) {
    const chunk: LoadedCallerKeys = await pending;
    pending = chunk.next === undefined ? undefined : rpc.call('callerKeysLoad', chunk.next);
    pending?.catch(() => undefined);
    const keys = parseCallerKeys(chunk);
    if (keys.length > 0) yield keys;
  }
}

/** As `chunks`. */
async function* subjectChunks(rpc: RpcClient<StateApi>): AsyncIterableIterator<SubjectChunk> {
  let pending: Promise<LoadedSubjects> | undefined = rpc.call('subjectsLoad', '');
  while (pending !== undefined) {
    const { chunk, next }: LoadedSubjects = await pending;
    pending = next === undefined ? undefined : rpc.call('subjectsLoad', next);
    pending?.catch(() => undefined);
    if (chunk.entities.length > 0) yield chunk;
  }
}

/** Reads chunk after chunk; the next one is fetched while the caller works on the last. */
async function* chunks(
  fetch: (after: string) => Promise<LoadedChunk>,
): AsyncIterableIterator<readonly EntityRecord[]> {
  let pending: Promise<LoadedChunk> | undefined = fetch('');
  while (pending !== undefined) {
    const chunk: LoadedChunk = await pending;
    pending = chunk.next === undefined ? undefined : fetch(chunk.next);
    // A caller that stops reading leaves this promise behind; its failure must not end the process.
    pending?.catch(() => undefined);
    const records = toRecords(chunk);
    if (records.length > 0) yield records;
  }
}

function toStaged(writes: readonly EntityWrite[]): StagedChunk {
  return {
    names: writes.map(({ ref }) => nameOf(ref)),
    bodies: writes.map(({ body }) => (body === null ? null : JSON.stringify(body))),
  };
}

/** Type and id; neither contains a space. */
function nameOf({ type, id }: EntityRef): string {
  return `${type} ${id}`;
}

function toRecords(chunk: LoadedChunk): readonly EntityRecord[] {
  return parseStored(chunk.json, isRows, 'the directory').map(([name, revision, updatedAt, body]) => {
    const space = name.indexOf(' ');
    const ref = { type: name.slice(0, space), id: name.slice(space + 1) };
    const { attributes, parents, tags, status } = body;
    return { ref, attributes, parents, tags, status, revision, updatedAt };
  });
}

type Row = readonly [
  string,
  number,
  string,
  Pick<EntityRecord, 'attributes' | 'parents' | 'tags' | 'status'>,
];

function isRows(value: unknown): value is readonly Row[] {
  return Array.isArray(value) && value.every(isRow);
}

/** Checks the frame; the values inside pass the schema before they are used. */
function isRow(value: unknown): value is Row {
  if (!isArray(value)) return false;
  const [name, revision, at, body] = value;
  return (
    typeof name === 'string' &&
    typeof revision === 'number' &&
    typeof at === 'string' &&
    isObject(body) &&
    isObject(body['attributes']) &&
    isObject(body['tags']) &&
    (body['status'] === 'active' || body['status'] === 'disabled') &&
    Array.isArray(body['parents']) &&
    body['parents'].every(isRef)
  );
}

function isArray(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function isRef(value: unknown): value is EntityRef {
  return isObject(value) && typeof value['type'] === 'string' && typeof value['id'] === 'string';
}

function parseCursor(cursor: string): number {
  if (!/^[1-9]\d{0,14}$/.test(cursor)) {
    throw new AppError('INVALID_REQUEST', 'the cursor is not one that this service gave', {
      problems: [{ pointer: '?cursor', message: 'unknown cursor', hint: 'start again without a cursor' }],
    });
  }
  return Number(cursor);
}
