/**
 * Forgetting one principal. Invariants: it is not in the directory and cannot come back while it is forgotten; what
 * the log and the answer say about it does not name it; the call may be repeated until it succeeds; what the log says
 * is forgotten is forgotten again when a restored store knows it.
 */
import { join } from 'node:path';
import type { Config } from '../config/settings.ts';
import type { LoggedLeaf, LogReader, Page } from '../decision-log/ports.ts';
import { entityRef } from '../decision-log/subject-name.ts';
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
import { formerErasures } from '../store/sqlite/former-erasures.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Events } from './events.ts';
import { RETIRED_FOLDER } from './log-succession.ts';
import type { Policy } from './policy.ts';
import type { Stores } from './stores.ts';

interface EraserParts {
  readonly directory: Pick<DirectoryService, 'delete' | 'whileAbsent'>;
  readonly registry: Pick<SubjectRegistry, 'erase' | 'forgetNames' | 'resolve'>;
  readonly former: FormerErasures;
  readonly log: Pick<LogReader, 'decisions' | 'events'>;
  readonly events: Pick<Events, 'announce'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Logger;
}

/** What logs tell that this one took the place of. */
interface FormerErasures {
  /** Subjects of their erasures, unless a start with this log has repeated these. */
  due(): Promise<readonly string[]>;
  done(): Promise<void>;
}

/** The eraser of a service. */
export function makeEraser(parts: {
  readonly config: Pick<Config, 'dataDir'>;
  readonly stores: Stores;
  readonly policy: Policy;
  readonly events: Events;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly logger: Logger;
}): Eraser {
  const { config, stores, policy, events, clock, ids, logger } = parts;
  const { ages, subjects } = stores;
  const { registry } = subjects;
  return new Eraser({
    directory: policy.directory,
    registry,
    log: stores.reader,
    former: {
      async due() {
        if (!(await ages.erasuresDue())) return [];
        return formerErasures(join(config.dataDir, RETIRED_FOLDER), (file, error) =>
          logger.error({ file, err: error }, 'erasures in a log that was set aside cannot be repeated'),
        );
      },
      done: () => ages.erasuresRepeated(),
    },
    events,
    clock,
    ids,
    logger,
  });
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

  /** Repeats the erasures of the log for whom a restored store brought back. To be called before anybody is answered. */
  async repeat(): Promise<void> {
    try {
      await this.#repeat();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      this.#parts.logger.error(
        { err: error },
        'whether erased principals came back could not be looked into',
      );
    }
  }

  async #repeat(): Promise<void> {
    const { former, registry } = this.#parts;
    const erasedBefore = await former.due();
    // whom these were about, no entry tells
    if (erasedBefore.includes(UNREGISTERED)) await registry.forgetNames();
    await this.#forgetAgain(erasedBefore);
    for await (const pseudonyms of this.#erasedPages()) await this.#forgetAgain(pseudonyms);
    await former.done();
  }

  /** Forgets those of erased principals whom the store knows. */
  async #forgetAgain(pseudonyms: readonly string[]): Promise<void> {
    const { registry, events, logger } = this.#parts;
    for (const [pseudonym, entity] of await registry.resolve(pseudonyms)) {
      const principal = entityRef(entity);
      const request = { principal, reason: REPEATED, deleteEntity: false };
      const about = { pseudonym, tenant: ownerByName(principal), entityDeleted: false };
      const describe = () => this.#event(request, about, SYSTEM);
      try {
        const { event } = await registry.erase(principal, describe);
        await events.announce(event);
        logger.warn(
          { pseudonym },
          'an erasure was repeated: the store that knew the principal is a restored one',
        );
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'PRINCIPAL_EXISTS') throw error;
        // who is in the directory may be somebody else by now, whom the former entries are not about either
        const { event } = await registry.erase(principal, describe, true);
        await events.announce(event);
        logger.error(
          { pseudonym },
          'an erased principal is in the directory again, under another pseudonym: erase it again if it was restored',
        );
      }
    }
  }

  /** Pseudonyms of principals that were erased, page by page. */
  async *#erasedPages(): AsyncIterableIterator<readonly string[]> {
    const kind = { values: ['audit.erase'], negated: false };
    for (let cursor: string | null | undefined; cursor !== null; ) {
      const { items, nextCursor }: Page<LoggedLeaf> = await this.#parts.log.events({
        kind,
        limit: PAGE,
        order: 'asc',
        ...(cursor === undefined ? {} : { cursor }),
      });
      yield items.flatMap(({ content: { subject } }) => (typeof subject === 'string' ? [subject] : []));
      cursor = nextCursor;
    }
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
    actor: Pick<Credential, 'keyId'>,
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

/** Erasures that are read at once. */
const PAGE = 1_000;
const REPEATED = 'a restored store knew the principal again';
const SYSTEM = { keyId: 'system' };

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
