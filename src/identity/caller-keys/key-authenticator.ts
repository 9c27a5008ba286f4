/**
 * Authenticates end callers by their keys. Invariants: every step can only refuse; nothing is waited for, so a key that
 * was revoked before a request is refused with it; a flood of wrong keys is slowed before it can fill the log, and
 * slows no right key.
 */
import { AppError } from '../../domain/errors.ts';
import type { PresentedKey } from '../../domain/presented-credential.ts';
import type { CallerFacts, CallerOutcome, VerifiedCaller } from '../caller.ts';
import { refusedCaller } from '../callers/caller-refusal.ts';
import { objectToCaller } from '../callers/gateway-rules.ts';
import type { FailureLimiter } from '../failure-limiter.ts';
import { codeOf } from '../jwt/token-cause.ts';
import { codeOfKeyCause, type KeyCause } from './key-cause.ts';
import type { CallerKeyTable, KeyEntry } from './key-table.ts';
import { type LastUse, networkOf } from './last-use.ts';
import type { KeyOwners } from './ports.ts';

/** A bearer secret: stronger than a gateway's word, weaker than what is bound to its holder. */
const KEY_ASSURANCE = 1;

export interface KeyAuthenticatorOptions {
  readonly table: CallerKeyTable;
  readonly owners: KeyOwners;
  readonly uses: LastUse;
  readonly limiter: FailureLimiter;
  /** Hears of every refusal, for metrics. Must not throw. */
  readonly refused: (cause: string) => void;
  /** Hears once of a key that is still used when more than half of its overlap is over. Must not throw. */
  readonly lateUse: (id: string, endsAt: string) => void;
  readonly now: () => number;
}

export class KeyAuthenticator {
  readonly #options: KeyAuthenticatorOptions;
  /** Keys that `lateUse` was told of: no more than there are keys. */
  readonly #late = new Set<string>();

  constructor(options: KeyAuthenticatorOptions) {
    this.#options = options;
  }

  /** Rejects with AppError TOO_MANY_FAILED_AUTHENTICATIONS when too many keys were wrong. */
  async authenticate({ key: token }: PresentedKey, facts: CallerFacts): Promise<CallerOutcome> {
    const { table, owners, uses, refused } = this.#options;
    const { entry, ...failure } = table.verify(token);
    if (entry === undefined) return this.#refuseKey(failure, facts);
    const { owner, tenant } = entry.key;
    const found = owners.find(owner);
    // whoever moved the owner to another tenant took it from the key; one that is gone is the engine's to deny
    if (found !== undefined && found.tenant !== tenant) {
      return this.#refuseKey({ cause: 'key_owner', id: entry.key.id }, facts);
    }
    const objection = objectToCaller(owner, tenant ?? '', facts);
    if (objection !== undefined) {
      refused(objection);
      return refusedCaller(codeOf(objection), objection);
    }
    uses.note(entry, facts.address);
    this.#noticeLateUse(entry);
    return { caller: callerOf(entry) };
  }

  #refuseKey(
    { cause, id }: { readonly cause?: KeyCause | undefined; readonly id?: string },
    { pep, address }: CallerFacts,
  ): CallerOutcome {
    if (cause === undefined) throw new Error('a refusal without a cause');
    const { limiter, refused } = this.#options;
    refused(cause);
    const outcome = refusedCaller(codeOfKeyCause(cause), cause);
    const network = address === undefined ? undefined : networkOf(address);
    const waits = [
      limiter.count(`gateway ${pep.keyId} ${network ?? '-'}`),
      ...(id === undefined ? [] : [limiter.count(`key ${id}`)]),
    ].filter(wait => wait !== undefined);
    if (waits.length === 0) return outcome;
    throw new AppError(
      'TOO_MANY_FAILED_AUTHENTICATIONS',
      'too many credentials of callers were not accepted',
      { retryAfterSeconds: Math.max(...waits) },
    );
  }

  #noticeLateUse({ key, expiresAt }: KeyEntry): void {
    const { id, supersededAt } = key;
    if (supersededAt === undefined || this.#late.has(id)) return;
    if (this.#options.now() < (Date.parse(supersededAt) + expiresAt) / 2) return;
    this.#late.add(id);
    this.#options.lateUse(id, key.expiresAt);
  }
}

function callerOf({ key, narrowing }: KeyEntry): VerifiedCaller {
  return {
    principal: key.owner,
    tenant: key.tenant,
    auth: { method: 'api_key', assurance: KEY_ASSURANCE, scopes: key.oauthScopes, keyId: key.id },
    binding: 'none',
    credential: { id: key.id, isShared: false },
    ...(narrowing === undefined ? {} : { narrowing }),
  };
}
