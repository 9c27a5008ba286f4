/**
 * Forgetting one principal. Invariants: it is not in the directory and cannot come back while it is forgotten; what
 * the log and the answer say about it does not name it; the call may be repeated until it succeeds.
 */
import type { LogReader } from '../decision-log/ports.ts';
import type { SubjectRegistry } from '../decision-log/subject-registry.ts';
import type { DirectoryService } from '../directory/service.ts';
import { ownerByName } from '../directory/tenancy.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import type { EntityRef } from '../domain/ids.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { ErasedPrincipal, ErasureRequest } from '../edge/http/services.ts';
import { mayActFor } from '../identity/authority.ts';
import type { Events } from './events.ts';

export interface EraserParts {
  readonly directory: Pick<DirectoryService, 'graph' | 'delete' | 'whileAbsent'>;
  readonly registry: Pick<SubjectRegistry, 'erase'>;
  readonly log: Pick<LogReader, 'decisions'>;
  readonly events: Pick<Events, 'announce'>;
  readonly clock: Clock;
  readonly ids: IdSource;
}

export class Eraser {
  readonly #parts: EraserParts;

  constructor(parts: EraserParts) {
    this.#parts = parts;
  }

  async erase(request: ErasureRequest, actor: Credential): Promise<ErasedPrincipal> {
    const { directory, registry, events } = this.#parts;
    const { principal } = request;
    const tenant = ownerByName(principal);
    if (!mayActFor(actor, tenant)) {
      throw new AppError('TENANT_NOT_ALLOWED', 'the credential may not act for the tenant of this principal');
    }
    refuseNaming(request);
    const entityDeleted = await this.#leave(request, actor);
    const describe = (pseudonym: string | undefined) =>
      this.#event(request, { pseudonym, tenant, entityDeleted }, actor);
    const { event, ...traces } = await directory.whileAbsent(principal, () =>
      registry.erase(principal, describe),
    );
    await events.announce(event);
    return {
      ...(event.subject === UNREGISTERED ? {} : { pseudonym: event.subject }),
      entityDeleted,
      erased: { revisions: traces.revisions, answers: traces.answers },
      stillNamedBy: { ...traces.namedBy, clearEntries: await this.#clearEntries(principal) },
    };
  }

  /** Takes the principal out of the directory where that was asked for; `whileAbsent` refuses it otherwise. */
  async #leave({ principal, deleteEntity }: ErasureRequest, actor: Credential): Promise<boolean> {
    if (!deleteEntity) return false;
    try {
      await this.#parts.directory.delete(principal, actor);
      return true;
    } catch (error) {
      if (error instanceof AppError && error.code === 'NOT_FOUND') return false;
      throw error;
    }
  }

  #event(
    { reason, legalBasis }: ErasureRequest,
    about: { pseudonym: string | undefined; tenant: string | undefined; entityDeleted: boolean },
    actor: Credential,
  ): EventEntry {
    const { pseudonym, tenant, entityDeleted } = about;
    return {
      kind: 'audit.erase',
      id: this.#parts.ids.next(),
      time: this.#parts.clock.now(),
      actor: actor.keyId,
      ...(tenant === undefined ? {} : { tenant }),
      subject: pseudonym ?? UNREGISTERED,
      details: { reason, entityDeleted, ...(legalBasis === undefined ? {} : { legalBasis }) },
    };
  }

  /** Whether decisions of the former leaf format name the principal: they cannot be changed, only outlived. */
  async #clearEntries({ type, id }: EntityRef): Promise<boolean | null> {
    const principal = { values: [`${type}::${id}`], negated: false };
    try {
      const page = await this.#parts.log.decisions({ filters: { principal }, limit: 1, order: 'desc' });
      return page.items.length > 0;
    } catch (error) {
      // The index is catching up: the erasure is done all the same.
      if (error instanceof AppError) return null;
      throw error;
    }
  }
}

/** Subject of an erasure of a principal that had no pseudonym of its own. */
const UNREGISTERED = 'unregistered';

/** The reason stays in the log for as long as the log: it must not name whom the log is to forget. */
function refuseNaming({ principal: { id }, reason, legalBasis }: ErasureRequest): void {
  const names = new Set([id, id.slice(id.lastIndexOf('/') + 1)]);
  const problems = [['/reason', reason] as const, ['/legalBasis', legalBasis ?? ''] as const].flatMap(
    ([pointer, text]): Problem[] =>
      [...names].some(name => namesIt(text, name))
        ? [
            {
              pointer,
              message: 'must not name the principal',
              hint: 'it stays in the log: give a ticket instead',
            },
          ]
        : [],
  );
  if (problems.length > 0)
    throw new AppError('INVALID_REQUEST', 'the reason names the principal', { problems });
}

/** Whether a text holds a name as a word of its own. */
function namesIt(text: string, name: string): boolean {
  const [haystack, needle] = [text.toLowerCase(), name.toLowerCase()];
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) {
    if (!isWordPart(haystack[at - 1]) && !isWordPart(haystack[at + needle.length])) return true;
  }
  return false;
}

function isWordPart(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{N}]/u.test(character);
}
