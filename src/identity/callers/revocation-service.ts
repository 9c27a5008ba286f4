/**
 * Revokes tokens of issuers. Invariants: a revocation is durable before it is acknowledged and counts from the next
 * decision on; nobody revokes for an issuer that speaks for tenants beyond their own; the list stays bounded, because
 * a revocation is forgotten when every token that it could hit has expired.
 */
import { type Clock, type IdSource, timestamp } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import { mayActFor } from '../authority.ts';
import type { Issuer } from '../jwt/issuer.ts';
import type { Revocation, RevocationKind, RevocationStore } from '../ports.ts';
import type { RevocationList } from './revocation-list.ts';

/** Most revocations kept; about 500 bytes each. */
const MAX_REVOCATIONS = 100_000;
/** How long a revocation outlasts the longest token, in milliseconds: clocks of several machines. */
const MARGIN_MS = 600_000;

export interface RevocationRequest {
  /** Name of the issuer in the configuration. */
  readonly issuer: string;
  readonly kind: RevocationKind;
  readonly value: string;
  readonly reason: string;
}

export interface RevocationOptions {
  readonly store: RevocationStore;
  readonly list: RevocationList;
  readonly issuers: readonly Issuer[];
  readonly clock: Clock;
  readonly ids: IdSource;
  /** Called after a change and its event are durable: carries the event to the log. Never rejects. */
  readonly announce: (event: EventEntry) => Promise<void>;
}

export class RevocationService {
  readonly #options: RevocationOptions;

  constructor(options: RevocationOptions) {
    this.#options = options;
  }

  /** Reads what the store kept. */
  async load(): Promise<void> {
    const { store, list, clock } = this.#options;
    for (const revocation of await store.list()) list.put(revocation);
    list.forget(timestamp(clock.now()));
  }

  /** @throws AppError NOT_FOUND for an issuer that is not configured, or speaks for tenants of others. */
  async revoke(request: RevocationRequest, actor: Credential): Promise<Revocation> {
    const { store, list, clock, ids, announce } = this.#options;
    const issuer = this.#visible(actor).find(({ name }) => name === request.issuer);
    if (issuer === undefined) throw new AppError('NOT_FOUND', `there is no issuer \`${request.issuer}\``);
    const now = clock.now();
    list.forget(timestamp(now));
    if (list.size >= MAX_REVOCATIONS) {
      throw new AppError('INVALID_REQUEST', `there are ${MAX_REVOCATIONS} revocations already`);
    }
    const longest = (issuer.maxLifetimeSeconds + issuer.clockToleranceSeconds * 2) * 1000;
    const revocation: Revocation = {
      id: ids.next(),
      kind: request.kind,
      issuer: issuer.issuer,
      value: request.value,
      at: timestamp(now),
      by: actor.keyId,
      reason: request.reason,
      forgetAt: timestamp(now + longest + MARGIN_MS),
    };
    const event = this.#event(revocation, issuer, now);
    await store.add(revocation, event);
    // the revocation is durable: from here on it counts
    list.put(revocation);
    await announce(event);
    return revocation;
  }

  /** Those of the issuers that the actor may see, newest first, from the one after `after` on. */
  page(actor: Credential, limit: number, after?: string): { items: Revocation[]; next: string | null } {
    const issuers = new Set(this.#visible(actor).map(({ issuer }) => issuer));
    const now = timestamp(this.#options.clock.now());
    const visible = this.#options.list.all
      .filter(({ issuer, forgetAt }) => issuers.has(issuer) && forgetAt > now)
      .reverse();
    const start = after === undefined ? 0 : visible.findIndex(({ id }) => id === after) + 1;
    const items = visible.slice(start, start + limit);
    const last = items.at(-1);
    return { items, next: last !== undefined && start + limit < visible.length ? last.id : null };
  }

  #visible(actor: Credential): readonly Issuer[] {
    return this.#options.issuers.filter(({ tenants }) =>
      [...tenants].every(tenant => mayActFor(actor, tenant)),
    );
  }

  #event({ id, kind, value, by, reason }: Revocation, issuer: Issuer, time: number): EventEntry {
    const [only] = issuer.tenants;
    return {
      kind: 'credential.revoke',
      id,
      time,
      actor: by,
      subject: id,
      // a subject is a person, whom the log does not name
      details: { issuer: issuer.name, kind, reason, ...(kind === 'subject' ? {} : { value }) },
      ...(issuer.tenants.size === 1 && only !== undefined ? { tenant: only } : {}),
    };
  }
}
