/**
 * Makes, rotates, revokes and lists the keys of callers. Invariants: the text of a key leaves once, from the call that
 * made it, and is stored nowhere; a change is durable with its events before it counts, and counts before it is
 * answered; nobody sees or changes a key of a tenant that is not theirs.
 */
import {
  type CallerKey,
  type CallerKeyRevocation,
  type CallerNarrowing,
  type RevocationCause,
} from '../../domain/caller-key.ts';
import { type Clock, timestamp } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import type { EntityRef } from '../../domain/ids.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import { mayActFor } from '../authority.ts';
import { makeKey, type RandomBytes } from '../key-format.ts';
import type { KeyEvents } from './key-events.ts';
import { expiryFor, overlapEnd } from './key-lifetime.ts';
import { type KeyFilter, matchesFilter } from './key-filter.ts';
import { madeBy } from './key-lineage.ts';
import { listed, type ListedCallerKey, pageOf } from './key-listing.ts';
import type { CallerKeyPolicy } from './key-policy.ts';
import type { CallerKeyTable, KeyEntry } from './key-table.ts';
import { digestOf, type PepperHasher } from './pepper-hash.ts';
import type { CallerKeyStore, KeyOwners } from './ports.ts';

/** Most keys of one service: they are all held in memory, about 1 KB each. */
const MAX_KEYS = 200_000;
/** Keys that are revoked in one transaction: each part counts as soon as it is durable. */
const BULK_KEYS = 500;
/** How long an expired key is still listed and recognised in reports of leaks, in milliseconds. */
const KEEP_EXPIRED_MS = 90 * 86_400_000;
/** How often expired keys are looked for, in milliseconds. */
const FORGET_EVERY_MS = 86_400_000;

export interface NewCallerKey extends CallerNarrowing {
  readonly owner: EntityRef;
  readonly description: string;
  readonly oauthScopes: readonly string[];
  readonly notBefore?: string | undefined;
  readonly expiresAt: string;
}

export interface RotationRequest {
  /** How long the old key goes on working; absent: a day, or the longest that is allowed where that is less. */
  readonly overlapSeconds?: number | undefined;
  /** Of the new key; absent: as long a life as the old one had from its beginning. */
  readonly expiresAt?: string | undefined;
}

export interface MadeCallerKey extends ListedCallerKey {
  /** The key, shown this once. */
  readonly token: string;
}

/** Whose keys are revoked at once. */
export type BulkTarget =
  | { readonly owner: EntityRef; readonly tenant?: undefined }
  | { readonly owner?: undefined; readonly tenant: string };

export interface CallerKeyServiceOptions {
  readonly store: CallerKeyStore;
  readonly table: CallerKeyTable;
  readonly hasher: PepperHasher;
  readonly owners: KeyOwners;
  readonly policy: CallerKeyPolicy;
  readonly events: KeyEvents;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Called after a change and its event are durable in the store: carries the event to the log. Never rejects. */
  readonly announce: (event: EventEntry) => Promise<void>;
}

/** Who changes keys: an administrator, or the owner through a gateway. */
export type KeyActor = Pick<Credential, 'keyId' | 'tenants'>;

export class CallerKeyService {
  readonly #options: CallerKeyServiceOptions;
  /** Changes happen one after the other, so that no key is made past a revocation that is on its way. */
  #lastChange: Promise<unknown> = Promise.resolve();
  #forgotAt = Number.NEGATIVE_INFINITY;

  constructor(options: CallerKeyServiceOptions) {
    this.#options = options;
  }

  get policy(): CallerKeyPolicy {
    return this.#options.policy;
  }

  /** Reads every key into memory. @returns how many cannot be verified, because their pepper is gone */
  async load(): Promise<number> {
    const { store, table, hasher } = this.#options;
    let unverifiable = 0;
    for await (const chunk of store.load()) {
      for (const { key, lastUse } of chunk) {
        table.put(key, lastUse);
        if (!hasher.has(key.pepper) && key.revoked === undefined) unverifiable += 1;
      }
    }
    return unverifiable;
  }

  /** @throws AppError INVALID_REQUEST: no such owner, an expiry that its tenant does not allow, or too many keys */
  create(request: NewCallerKey, actor: KeyActor): Promise<MadeCallerKey> {
    return this.#inTurn(async () => {
      const { policy, clock } = this.#options;
      const { owner, notBefore } = request;
      const tenant = this.#tenantOf(owner, actor);
      const now = clock.now();
      const expiresAt = expiryFor(request.expiresAt, {
        now,
        notBefore,
        longest: policy.maxLifetimeMs(tenant),
      });
      await this.#makeRoom(now);
      const { key, token } = this.#make({
        owner,
        ...(tenant === undefined ? {} : { tenant }),
        description: request.description,
        scopes: request.scopes,
        networks: request.networks,
        oauthScopes: request.oauthScopes,
        createdAt: timestamp(now),
        createdBy: actor.keyId,
        ...(notBefore === undefined ? {} : { notBefore: timestamp(Date.parse(notBefore)) }),
        expiresAt: timestamp(expiresAt),
      });
      await this.#commit({ created: [key], changed: [] }, [this.#options.events.created(key, actor.keyId)]);
      return { ...listed({ key, lastUse: undefined }), token };
    });
  }

  /**
   * Makes a successor that may do the same; the key itself works on for a while.
   * @param by `createdBy` of the successor
   * @throws AppError NOT_FOUND, INVALID_REQUEST, ALREADY_EXISTS when the key has a successor
   */
  rotate(id: string, request: RotationRequest, actor: KeyActor, by = actor.keyId): Promise<MadeCallerKey> {
    return this.#inTurn(async () => {
      const { policy, clock, table, events } = this.#options;
      const entry = this.#visible(id, actor);
      const { key } = entry;
      if (key.supersededBy !== undefined) {
        throw new AppError('ALREADY_EXISTS', `key \`${id}\` has the successor \`${key.supersededBy}\``);
      }
      if (!table.isActive(entry)) {
        throw new AppError('INVALID_REQUEST', `key \`${id}\` works no more, so there is nothing to follow`);
      }
      // the owner has to be there still, and where it was
      const tenant = this.#tenantOf(key.owner, actor);
      if (tenant !== key.tenant) {
        throw new AppError('INVALID_REQUEST', `the owner of key \`${id}\` is of another tenant now`);
      }
      const now = clock.now();
      const longest = policy.maxLifetimeMs(tenant);
      const life = Math.min(Date.parse(key.expiresAt) - Date.parse(key.createdAt), longest);
      const expiresAt = expiryFor(request.expiresAt ?? timestamp(now + life), { now, longest });
      const overlapsUntil = overlapEnd(request.overlapSeconds, now, policy.maxOverlapMs);
      await this.#makeRoom(now);
      const { owner, description, scopes, networks, oauthScopes } = key;
      const made = this.#make({
        owner,
        ...(tenant === undefined ? {} : { tenant }),
        description,
        scopes,
        networks,
        oauthScopes,
        createdAt: timestamp(now),
        createdBy: by,
        expiresAt: timestamp(expiresAt),
        replaces: id,
      });
      const old: CallerKey = {
        ...key,
        expiresAt: timestamp(Math.min(entry.expiresAt, overlapsUntil)),
        supersededBy: made.key.id,
        supersededAt: timestamp(now),
      };
      const event = events.rotated(old, made.key, actor.keyId);
      await this.#commit({ created: [made.key], changed: [old] }, [event]);
      return { ...listed({ key: made.key, lastUse: undefined }), token: made.token };
    });
  }

  /** Revokes a key, and those that it made for itself. Again changes nothing. @throws AppError NOT_FOUND */
  revoke(id: string, reason: string, actor: KeyActor): Promise<void> {
    return this.#inTurn(async () => {
      await this.#revokeAll([this.#visible(id, actor)], 'request', reason, actor);
    });
  }

  /** Revokes every key of an owner or a tenant. @returns how many. @throws AppError TENANT_NOT_ALLOWED */
  revokeMany({ owner, tenant }: BulkTarget, reason: string, actor: KeyActor): Promise<number> {
    return this.#inTurn(async () => {
      if (tenant !== undefined && !mayActFor(actor, tenant)) {
        throw new AppError('TENANT_NOT_ALLOWED', `this key may not act for tenant \`${tenant}\``);
      }
      const targets = [...this.#options.table.entries].filter(
        ({ key }) =>
          mayActFor(actor, key.tenant) &&
          (owner === undefined
            ? key.tenant === tenant
            : key.owner.type === owner.type && key.owner.id === owner.id),
      );
      return this.#revokeAll(targets, owner === undefined ? 'tenant' : 'owner', reason, actor);
    });
  }

  /**
   * Takes note that keys have leaked; revokes them where that is configured.
   * @param found by each key where it was found, as the report says
   */
  leaked(found: ReadonlyMap<KeyEntry, string>, actor: KeyActor): Promise<void> {
    return this.#inTurn(async () => {
      const { table, policy, clock, events } = this.#options;
      const at = timestamp(clock.now());
      // as they are now: an earlier change of this turn may have replaced them
      const current = [...found].flatMap(([{ key }, source]) => {
        const entry = table.find(key.id);
        return entry === undefined ? [] : [{ entry, source }];
      });
      if (policy.onLeak === 'revoke') {
        const entries = current.map(({ entry }) => entry);
        await this.#revokeAll(entries, 'leak', 'reported to have leaked', actor);
      }
      const fresh = current.flatMap(({ entry, source }) => {
        const key = table.find(entry.key.id)?.key;
        if (key === undefined || key.leakedAt !== undefined) return [];
        const leaked = { ...key, leakedAt: at };
        return [{ leaked, event: events.leaked(leaked, source, actor.keyId) }];
      });
      const changed = fresh.map(({ leaked }) => leaked);
      await this.#commit(
        { created: [], changed },
        fresh.map(({ event }) => event),
      );
    });
  }

  /** Keys that match, newest first, from the one after `after` on. */
  list(
    filter: KeyFilter,
    actor: KeyActor,
    limit: number,
    after?: string,
  ): { items: ListedCallerKey[]; next: string | null } {
    const now = this.#options.clock.now();
    const matching = [...this.#options.table.entries]
      .filter(entry => mayActFor(actor, entry.key.tenant) && matchesFilter(entry, filter, now))
      .reverse();
    return pageOf(matching, limit, after);
  }

  /** Keys by SHA-256 digests of their texts; undefined for what was no key of anybody. */
  recognise(digests: readonly Uint8Array[]): readonly (KeyEntry | undefined)[] {
    return this.#options.table.recogniseDigests(digests);
  }

  /** The key of that id, whosever it is. */
  find(id: string): KeyEntry | undefined {
    return this.#options.table.find(id);
  }

  /** @throws AppError NOT_FOUND, for keys of other tenants too */
  get(id: string, actor: KeyActor): ListedCallerKey {
    return listed(this.#visible(id, actor));
  }

  /** Lets go of the keys of an owner that the store has forgotten. */
  dropOwner({ type, id }: EntityRef): void {
    const { table } = this.#options;
    for (const { key } of table.entries) {
      if (key.owner.type === type && key.owner.id === id) table.drop(key.id);
    }
  }

  #make(fields: Omit<CallerKey, 'id' | 'hash' | 'pepper'>): { key: CallerKey; token: string } {
    const { hasher, random } = this.#options;
    const { id, token } = makeKey(random, 'dmc');
    const pepper = hasher.newest;
    const hash = hasher.hash(digestOf(token), pepper).toString('base64url');
    return { key: { id, hash, pepper, ...fields }, token };
  }

  #visible(id: string, actor: KeyActor): KeyEntry {
    const entry = this.#options.table.find(id);
    if (entry === undefined || !mayActFor(actor, entry.key.tenant)) {
      throw new AppError('NOT_FOUND', `there is no key \`${id}\``);
    }
    return entry;
  }

  /** The tenant of an owner that is there and active; a foreign one is not told from a missing one. */
  #tenantOf({ type, id }: EntityRef, actor: KeyActor): string | undefined {
    const owner = this.#options.owners.find({ type, id });
    if (owner === undefined || owner.status !== 'active' || !mayActFor(actor, owner.tenant)) {
      const message = `there is no active principal \`${type} ${id}\``;
      throw new AppError('INVALID_REQUEST', message, { problems: [{ pointer: '/owner', message }] });
    }
    return owner.tenant;
  }

  async #revokeAll(
    entries: readonly KeyEntry[],
    cause: RevocationCause,
    reason: string,
    actor: KeyActor,
  ): Promise<number> {
    const { clock, events, table } = this.#options;
    const at = timestamp(clock.now());
    const named = new Set(entries);
    const live = [...named, ...madeBy(named, table.entries)].filter(({ key }) => key.revoked === undefined);
    for (let start = 0; start < live.length; start += BULK_KEYS) {
      const changed = live.slice(start, start + BULK_KEYS).map((entry): CallerKey => {
        const own = named.has(entry) ? cause : 'lineage';
        const revoked: CallerKeyRevocation = { at, by: actor.keyId, cause: own, reason };
        return { ...entry.key, revoked };
      });
      const told = changed.map(key => events.revoked(key, actor.keyId));
      await this.#commit({ created: [], changed }, told);
    }
    return live.length;
  }

  async #commit(
    change: { created: readonly CallerKey[]; changed: readonly CallerKey[] },
    events: readonly EventEntry[],
  ): Promise<void> {
    const { store, table, announce } = this.#options;
    if (change.created.length + change.changed.length === 0) return;
    await store.commit(change, events);
    // durable: from here on it counts, also for decisions that are answered before this call is
    for (const key of [...change.created, ...change.changed]) table.put(key);
    for (const event of events) await announce(event);
  }

  /** @throws AppError INVALID_REQUEST when there are too many keys */
  async #makeRoom(now: number): Promise<void> {
    const { store, table } = this.#options;
    if (now - this.#forgotAt >= FORGET_EVERY_MS) {
      const gone = [...table.entries].filter(({ expiresAt }) => expiresAt + KEEP_EXPIRED_MS <= now);
      const ids = gone.map(({ key }) => key.id);
      await store.remove(ids);
      for (const id of ids) table.drop(id);
      this.#forgotAt = now;
    }
    if (table.size < MAX_KEYS) return;
    throw new AppError('INVALID_REQUEST', `there are ${MAX_KEYS} keys already`);
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(change, change);
    this.#lastChange = turn;
    return turn;
  }
}
