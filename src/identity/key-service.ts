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
import { makeKey, type NewKey, type RandomBytes, readKey } from './key-format.ts';
import type { KeyHasher } from './key-hash.ts';
import { BOOTSTRAP_KEY_ID, type KeyRing } from './key-ring.ts';
import type { KeyStore } from './ports.ts';

/** Most keys of one service: they are all held in memory, about 1 KB each. */
const MAX_KEYS = 100_000;

/** Who makes break-glass keys: whoever has the host. */
const HOST = 'host';

/** A key that was made on the host. The text of it is known to whoever made it alone. */
export interface BreakGlassKey extends Pick<ApiKey, 'id' | 'hash'> {
  /** RFC 3339 UTC. */
  readonly expiresAt: string;
  readonly reason: string;
  /** Account of the operating system. */
  readonly by: string;
  /** RFC 3339 UTC. */
  readonly requestedAt: string;
}

/** What a key looks like to its keepers: everything but the hash. */
export type KeyRecord = Omit<ApiKey, 'hash'>;

export interface CreatedKey {
  readonly record: KeyRecord;
  readonly token: string;
}

/** What the control plane says of making and revoking keys. */
export interface KeyGuard {
  /** @param excess what the key would have beyond its maker, in words. @throws AppError */
  create(request: KeyRequest, actor: Credential, excess: string | undefined): void;
  /** @param excess as for `create`. @throws AppError */
  revoke(key: KeyRecord, actor: Credential, excess: string | undefined): void;
  /** Whether with these keys alone somebody could still administer keys. */
  isAdministrable(keys: readonly KeyRecord[]): boolean;
}

export interface KeyServiceOptions {
  readonly store: KeyStore;
  readonly ring: KeyRing;
  readonly hasher: KeyHasher;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: RandomBytes;
  readonly guard: KeyGuard;
  /** Names the state of a key in its event: a digest of the JSON. */
  readonly digestOf: (value: JsonObject) => string;
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
      await this.#make('key.bootstrap', made, grant, 'system');
      return configured === undefined ? made.token : undefined;
    });
  }

  /**
   * Takes over an admin key that somebody made on the host; false when it was taken over before.
   * @throws AppError STORE_UNAVAILABLE
   */
  breakGlass({ id, hash, expiresAt, reason, by, requestedAt }: BreakGlassKey): Promise<boolean> {
    return this.#inTurn(async () => {
      const { ring, clock } = this.#options;
      if (ring.find(id) !== undefined) return false;
      const at = clock.now();
      const key: ApiKey = {
        id,
        hash,
        roles: ['admin'],
        description: 'break-glass key',
        mayAssert: true,
        createdAt: timestamp(at),
        createdBy: HOST,
        expiresAt,
        breakGlass: true,
      };
      const about = { reason, by, requestedAt };
      await this.#put(key, this.#event('control.break_glass', at, { after: key }, HOST, about));
      return true;
    });
  }

  /** Break-glass keys that work now. */
  get liveBreakGlass(): readonly KeyRecord[] {
    const { ring } = this.#options;
    return ring.keys.filter(key => key.breakGlass === true && ring.isActive(key)).map(recordOf);
  }

  /** @throws AppError ROLE_REQUIRED, TENANT_NOT_ALLOWED or INVALID_REQUEST. */
  create(request: KeyRequest, actor: Credential): Promise<CreatedKey> {
    return this.#inTurn(async () => {
      const excess = excessOf(actor, request);
      this.#options.guard.create(request, actor, excess);
      // The guard has refused this: it holds whatever policies say.
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
      const record = await this.#make('key.create', made, request, actor.keyId);
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
      this.#options.guard.revoke(recordOf(key), actor, excess);
      // The guard has refused this: it holds whatever policies say.
      if (excess !== undefined) throw new AppError('ROLE_REQUIRED', `key \`${id}\` has ${excess}`);
      if (key.revokedAt !== undefined) return;
      this.#keepOneAdmin(key);
      const at = clock.now();
      const revoked = { ...key, revokedAt: timestamp(at) };
      const event = this.#event('key.revoke', at, { before: key, after: revoked }, actor.keyId);
      const changed = await store.revoke(id, revoked.revokedAt, event);
      // the revocation is durable: from here on it counts
      ring.put(revoked);
      if (changed) await announce(event);
    });
  }

  #make(
    kind: EventKind,
    { id, token }: NewKey,
    grant: Pick<ApiKey, 'roles' | 'description' | 'mayAssert'> &
      Pick<KeyRequest, 'tenants' | 'expiresAt' | 'callers'>,
    createdBy: string,
  ): Promise<KeyRecord> {
    const at = this.#options.clock.now();
    const { roles, tenants, description, mayAssert, callers, expiresAt } = grant;
    const key: ApiKey = {
      id,
      hash: this.#options.hasher.hash(token).toString('base64url'),
      roles: [...new Set(roles)],
      ...(tenants === undefined ? {} : { tenants: [...new Set(tenants)] }),
      description,
      mayAssert,
      ...(callers === undefined ? {} : { callers }),
      createdAt: timestamp(at),
      createdBy,
      ...(expiresAt === undefined ? {} : { expiresAt: timestamp(Date.parse(expiresAt)) }),
    };
    return this.#put(key, this.#event(kind, at, { after: key }, createdBy));
  }

  async #put(key: ApiKey, event: EventEntry): Promise<KeyRecord> {
    const { store, ring, announce } = this.#options;
    await store.create(key, event);
    // the key is durable: it works from here on
    ring.put(key);
    await announce(event);
    return recordOf(key);
  }

  #event(
    kind: EventKind,
    time: number,
    { before, after: key }: { readonly before?: ApiKey; readonly after: ApiKey },
    actor: string,
    extra: JsonObject = {},
  ): EventEntry {
    const { roles, tenants, description, expiresAt, mayAssert, callers } = key;
    const details: JsonObject = {
      roles,
      description,
      mayAssert,
      ...(tenants === undefined ? {} : { tenants }),
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(callers === undefined ? {} : { callers: callers.map(plainRule) }),
      digests: {
        before: before === undefined ? null : this.#digestOf(before),
        after: this.#digestOf(key),
      },
      ...extra,
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

  /** What a key is, as `GET /v1/keys/{id}` answers it. */
  #digestOf(key: ApiKey): string {
    const { callers, roles, tenants, ...rest } = recordOf(key);
    return this.#options.digestOf({
      ...rest,
      roles,
      ...(tenants === undefined ? {} : { tenants }),
      ...(callers === undefined ? {} : { callers: callers.map(plainRule) }),
    });
  }

  /** Whether there is an admin key of every tenant that works now and was made by a key. */
  get hasLastingAdmin(): boolean {
    return this.#lastingAdmins().length > 0;
  }

  /** Whether somebody could administer keys with those that work now, `without` one of them. */
  isAdministrable(without?: string): boolean {
    const others = this.#lastingAdmins().filter(({ id }) => id !== without);
    return this.#options.guard.isAdministrable(others.map(recordOf));
  }

  /** Keys of an emergency end within hours: nobody may be left with them alone. */
  #lastingAdmins(): readonly ApiKey[] {
    const { ring } = this.#options;
    return ring.keys.filter(
      key => isUnlimitedAdmin(key) && key.breakGlass === undefined && ring.isActive(key),
    );
  }

  #keepOneAdmin(revoked: ApiKey): void {
    const { ring } = this.#options;
    if (revoked.breakGlass !== undefined || !ring.isActive(revoked)) return;
    if (this.isAdministrable(revoked.id) || !this.isAdministrable()) return;
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

/** Nobody makes a key with more than their own, so no other key could make these. */
function isUnlimitedAdmin(key: ApiKey): boolean {
  return key.roles.includes('admin') && key.tenants === undefined;
}

/** A key that the operator chose: under its own id when it has the form of a key. */
function adoptKey(token: string): NewKey {
  const reading = readKey(token);
  return { id: reading.kind === 'key' ? reading.id : BOOTSTRAP_KEY_ID, token };
}

function recordOf(key: ApiKey): KeyRecord {
  const { id, roles, tenants, description, mayAssert, callers } = key;
  const { createdAt, createdBy, expiresAt, revokedAt, breakGlass } = key;
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
    ...(breakGlass === undefined ? {} : { breakGlass }),
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
