/**
 * Events of callers' keys for the log. Invariants: the owner stands as the subject alone, which a leaf shows under a
 * pseudonym; neither a key nor its hash nor a network is in one.
 */
import type { CallerKey, CallerKeyScope } from '../../domain/caller-key.ts';
import type { Clock, IdSource } from '../../domain/clock.ts';
import { NAMESPACE } from '../../domain/names.ts';
import type { JsonObject } from '../../domain/json.ts';
import type { EventEntry, EventKind } from '../../domain/log-entry.ts';
import { EntityUid } from '../../domain/value.ts';

type KeyEventKind = Extract<EventKind, `caller_key.${string}`>;

export class KeyEvents {
  readonly #ids: IdSource;
  readonly #clock: Pick<Clock, 'now'>;

  constructor(ids: IdSource, clock: Pick<Clock, 'now'>) {
    this.#ids = ids;
    this.#clock = clock;
  }

  created(key: CallerKey, actor: string): EventEntry {
    return this.#event('caller_key.create', key, actor, grantOf(key));
  }

  /** @param successor the new key */
  rotated(key: CallerKey, successor: CallerKey, actor: string): EventEntry {
    const details = { ...grantOf(successor), replaces: key.id, overlapUntil: key.expiresAt };
    return this.#event('caller_key.rotate', successor, actor, details);
  }

  revoked(key: CallerKey, actor: string): EventEntry {
    const { cause = 'request', reason = '' } = key.revoked ?? {};
    return this.#event('caller_key.revoke', key, actor, { cause, reason });
  }

  /** @param source where it was found, as the report says: a kind of place, not the place */
  leaked(key: CallerKey, source: string, actor: string): EventEntry {
    return this.#event('caller_key.leak', key, actor, { source, revoked: key.revoked !== undefined });
  }

  #event(kind: KeyEventKind, key: CallerKey, actor: string, details: JsonObject): EventEntry {
    const { id, owner, tenant } = key;
    return {
      kind,
      id: this.#ids.next(),
      time: this.#clock.now(),
      actor,
      subject: new EntityUid(`${NAMESPACE}::${owner.type}`, owner.id).key,
      details: { key: id, ...details },
      ...(tenant === undefined ? {} : { tenant }),
    };
  }
}

/** What a key grants, without what could be a person's: its description and its networks. */
function grantOf({ scopes, networks, oauthScopes, notBefore, expiresAt }: CallerKey): JsonObject {
  return {
    scopes: scopes.map(plainScope),
    networks: networks.length,
    oauthScopes,
    expiresAt,
    ...(notBefore === undefined ? {} : { notBefore }),
  };
}

/** An alternative as JSON, without the members that it leaves out. */
function plainScope({ actions, models, modelGroups, tenants }: CallerKeyScope): JsonObject {
  return {
    ...(actions === undefined ? {} : { actions }),
    ...(models === undefined ? {} : { models }),
    ...(modelGroups === undefined ? {} : { modelGroups }),
    ...(tenants === undefined ? {} : { tenants }),
  };
}
