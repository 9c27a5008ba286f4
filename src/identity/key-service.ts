/**
 * Makes, lists and revokes API keys. Invariants: nobody hands out more than they hold; the last admin key
 * cannot be revoked; the text of a key leaves once, from `create`, and is stored nowhere.
 */
import type { CallerRule } from '../domain/caller-rules.ts';
import { type Clock, type IdSource, timestamp } from '../domain/clock.ts';
import type { ApiKey, Credential, KeyRequest } from '../domain/credential.ts';
import { AppError } from '../domain/errors.ts';
import type { JsonObject } from '../domain/json.ts';
import type { EventEntry, EventKind } from '../domain/log-entry.ts';
import { excessOf, maySeeKey } from './authority.ts';
import { makeKey, type RandomBytes, readKey } from './key-format.ts';
import type { KeyHasher } from './key-hash.ts';
import { BOOTSTRAP_KEY_ID, type KeyRing } from './key-ring.ts';
import type { KeyStore } from './ports.ts';

/** Most keys of one service: they are all held in memory, about 1 KB each. */
const MAX_KEYS = 100_000;

/** What a key looks like to its keepers: everything but the hash. */
export type KeyRecord = Omit<ApiKey, 'hash'>;

export interface CreatedKey {
  readonly record: KeyRecord;
  readonly token: string;
}

export interface KeyServiceOptions {
  readonly store: KeyStore;
  readonly ring: KeyRing;
  readonly hasher: KeyHasher;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: RandomBytes;
  /** Called after a change and its event are durable in the store: carries the event to the log. Never rejects. */
  readonly announce: (event: EventEntry) => Promise<void>;
}

export class KeyService {
  readonly #options: KeyServiceOptions;
  /** Changes happen one after the other, so that two revocations cannot both leave "one other" admin key. */
  #lastChange: Promise<unknown> = Promise.resolve();

  constructor(options: KeyServiceOptions) {
    this.#options = options;
  }

  /** Reads every key into the ring. */
  async load(): Promise<void> {
    this.#options.ring.replace(await this.#options.store.list());
  }

  /**
   * Makes the first key when the store has none: `configured` as it is, or a random one.
   * @returns the text of a random key, to be printed once; undefined when nothing has to be printed.
   */
  bootstrap(configured: string | undefined): Promise<string | undefined> {
    return this.#inTurn(async () => {
      if (this.#options.ring.keys.length > 0) return undefined;
      const made = configured === undefined ? makeKey(this.#options.random) : adoptKey(configured);
      const grant = { roles: ['admin'], description: 'first admin key', mayAssert: true } as const;
      await this.#store('key.bootstrap', made.id, made.token, grant, 'system');
      return configured === undefined ? made.token : undefined;
    });
  }

  /** @throws AppError ROLE_REQUIRED, TENANT_NOT_ALLOWED or INVALID_REQUEST. */
  create(request: KeyRequest, actor: Credential): Promise<CreatedKey> {
    return this.#inTurn(async () => {
      const excess = excessOf(actor, request);
      if (excess !== undefined) {
        throw new AppError('ROLE_REQUIRED', `the new key would have ${excess}`, {
          problems: [
            { message: `a key cannot be given ${excess}`, hint: 'ask for no more than your own key has' },
          ],
        });
      }
      this.#checkExpiry(request.expiresAt);
      if (this.#options.ring.keys.length >= MAX_KEYS) {
        throw new AppError('INVALID_REQUEST', `there are ${MAX_KEYS} keys already`);
      }
      const made = makeKey(this.#options.random);
      const record = await this.#store('key.create', made.id, made.token, request, actor.keyId);
      return { record, token: made.token };
    });
  }

  /** Keys that the actor may see, newest first, from the one after `after` on. */
  list(actor: Credential, limit: number, after?: string): { items: KeyRecord[]; next: string | null } {
    const visible = this.#options.ring.keys.filter(key => maySeeKey(actor, key)).reverse();
    const start = after === undefined ? 0 : visible.findIndex(({ id }) => id === after) + 1;
    const items = visible.slice(start, start + limit);
    const last = items.at(-1);
    return {
      items: items.map(recordOf),
      next: last !== undefined && start + limit < visible.length ? last.id : null,
    };
  }

  /** @throws AppError NOT_FOUND, for keys of other tenants too. */
  get(id: string, actor: Credential): KeyRecord {
    const key = this.#options.ring.find(id);
    if (key === undefined || !maySeeKey(actor, key)) throw missing(id);
    return recordOf(key);
  }

  /** Revokes at once. Revoking again changes nothing. @throws AppError NOT_FOUND, ROLE_REQUIRED, LAST_ADMIN_KEY. */
  revoke(id: string, actor: Credential): Promise<void> {
    return this.#inTurn(async () => {
      const { store, ring, clock, announce } = this.#options;
      const key = ring.find(id);
      if (key === undefined || !maySeeKey(actor, key)) throw missing(id);
      const excess = excessOf(actor, key);
      if (excess !== undefined) throw new AppError('ROLE_REQUIRED', `key \`${id}\` has ${excess}`);
      if (key.revokedAt !== undefined) return;
      this.#keepOneAdmin(key);
      const at = clock.now();
      const event = this.#event('key.revoke', at, key, actor.keyId);
      const changed = await store.revoke(id, timestamp(at), event);
      // the revocation is durable: from here on it counts
      ring.put({ ...key, revokedAt: timestamp(at) });
      if (changed) await announce(event);
    });
  }

  async #store(
    kind: EventKind,
    id: string,
    token: string,
    grant: Pick<ApiKey, 'roles' | 'description' | 'mayAssert'> &
      Pick<KeyRequest, 'tenants' | 'expiresAt' | 'callers'>,
    createdBy: string,
  ): Promise<KeyRecord> {
    const { store, ring, hasher, clock, announce } = this.#options;
    const at = clock.now();
    const { roles, tenants, description, mayAssert, callers, expiresAt } = grant;
    const key: ApiKey = {
      id,
      hash: hasher.hash(token).toString('base64url'),
      roles: [...new Set(roles)],
      ...(tenants === undefined ? {} : { tenants: [...new Set(tenants)] }),
      description,
      mayAssert,
      ...(callers === undefined ? {} : { callers }),
      createdAt: timestamp(at),
      createdBy,
      ...(expiresAt === undefined ? {} : { expiresAt: timestamp(Date.parse(expiresAt)) }),
    };
    const event = this.#event(kind, at, key, createdBy);
    await store.create(key, event);
    // the key is durable: it works from here on
    ring.put(key);
    await announce(event);
    return recordOf(key);
  }

  #event(kind: EventKind, time: number, key: ApiKey, actor: string): EventEntry {
    const { roles, tenants, description, expiresAt, mayAssert, callers } = key;
    const details: JsonObject = {
      roles,
      description,
      mayAssert,
      ...(tenants === undefined ? {} : { tenants }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(callers === undefined ? {} : { callers: callers.map(plainRule) }),
    };
    const [only] = tenants ?? [];
    return {
      kind,
      id: this.#options.ids.next(),
      time,
      actor,
      subject: key.id,
      details,
      ...(tenants?.length === 1 && only !== undefined ? { tenant: only } : {}),
    };
  }

  #checkExpiry(expiresAt: string | undefined): void {
    if (expiresAt === undefined || Date.parse(expiresAt) > this.#options.clock.now()) return;
    throw new AppError('INVALID_REQUEST', '`expiresAt` is in the past', {
      problems: [
        { pointer: '/expiresAt', message: 'must be in the future', hint: 'leave it out for a lasting key' },
      ],
    });
  }

  #keepOneAdmin(revoked: ApiKey): void {
    const { ring } = this.#options;
    if (!isUnlimitedAdmin(revoked) || !ring.isActive(revoked)) return;
    const other = ring.keys.some(key => key.id !== revoked.id && isUnlimitedAdmin(key) && ring.isActive(key));
    if (other) return;
    throw new AppError('LAST_ADMIN_KEY', `key \`${revoked.id}\` is the last admin key`, {
      problems: [
        { message: 'without an admin key nobody could make keys', hint: 'make another admin key first' },
      ],
    });
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(change, change);
    this.#lastChange = turn;
    return turn;
  }
}

/** A key that the operator chose: under its own id when it has the form of a key. */
function adoptKey(token: string): { id: string; token: string } {
  const reading = readKey(token);
  return { id: reading.kind === 'key' ? reading.id : BOOTSTRAP_KEY_ID, token };
}

function isUnlimitedAdmin(key: ApiKey): boolean {
  return key.roles.includes('admin') && key.tenants === undefined;
}

function recordOf(key: ApiKey): KeyRecord {
  const { id, roles, tenants, description, mayAssert, callers } = key;
  const { createdAt, createdBy, expiresAt, revokedAt } = key;
  return {
    id,
    roles,
    ...(tenants === undefined ? {} : { tenants }),
    description,
    mayAssert,
    ...(callers === undefined ? {} : { callers }),
    createdAt,
    createdBy,
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(revokedAt === undefined ? {} : { revokedAt }),
  };
}

/** A rule as JSON, without the members that it leaves out. */
function plainRule({ mode, tenants, principalTypes, maxAssurance }: CallerRule): JsonObject {
  return {
    mode,
    ...(tenants === undefined ? {} : { tenants }),
    ...(principalTypes === undefined ? {} : { principalTypes }),
    ...(maxAssurance === undefined ? {} : { maxAssurance }),
  };
}

function missing(id: string): AppError {
  return new AppError('NOT_FOUND', `there is no key \`${id}\``);
}
