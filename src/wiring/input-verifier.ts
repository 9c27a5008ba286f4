/**
 * Whether an input is the one of a decision. Invariants: every comparison is in the log before it is answered, its
 * content never is; a credential cannot compare often enough to guess; how long it takes tells nothing.
 */
import { sameText } from '../decision-log/input-digest.ts';
import type { LogReader } from '../decision-log/ports.ts';
import { entityId, entityKey, isPrincipalType } from '../decision-log/subject-name.ts';
import type { SubjectRegistry } from '../decision-log/subject-registry.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { AppError } from '../domain/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../domain/json.ts';
import type { InputClaim } from '../edge/http/services.ts';
import { FailureLimiter } from '../identity/failure-limiter.ts';
import type { Events } from './events.ts';

/** Comparisons of one credential per minute: an auditor checks samples, guessing takes millions. */
const MAX_PER_MINUTE = 60;

interface InputVerifierParts {
  readonly log: Pick<LogReader, 'decision'>;
  readonly registry: Pick<SubjectRegistry, 'inputMacBy' | 'resolve'>;
  readonly events: Pick<Events, 'record'>;
  readonly clock: Clock;
  readonly ids: IdSource;
}

export class InputVerifier {
  readonly #parts: InputVerifierParts;
  readonly #limiter: FailureLimiter;

  constructor(parts: InputVerifierParts) {
    this.#parts = parts;
    this.#limiter = new FailureLimiter(parts.clock, MAX_PER_MINUTE);
  }

  async matches({ decisionId, hash, given }: InputClaim, asker: Credential): Promise<boolean> {
    const wait = this.#limiter.count(asker.keyId);
    if (wait !== undefined) {
      throw new AppError(
        'TOO_MANY_VERIFICATIONS',
        `a credential may verify ${MAX_PER_MINUTE} inputs per minute`,
        { retryAfterSeconds: wait },
      );
    }
    const { log, events, clock, ids } = this.#parts;
    const tenants = asker.tenants === undefined ? undefined : [...asker.tenants];
    const leaf = await log.decision(decisionId, tenants);
    if (leaf === undefined)
      throw new AppError('NOT_FOUND', `there is no decision \`${decisionId.slice(0, 64)}\``);
    const request = objectOf(leaf.content['request']);
    const matches = await this.#compare(request, hash);
    const tenant = textOf(request['tenant']);
    await events.record({
      kind: 'audit.verify_input',
      id: ids.next(),
      time: clock.now(),
      actor: asker.keyId,
      ...(tenant === '' ? {} : { tenant }),
      subject: textOf(leaf.content['id']),
      details: { given, matches },
    });
    return matches;
  }

  async #compare(request: JsonObject, hash: string): Promise<boolean> {
    // Leaves of format 1 hold the hash itself.
    const former = request['inputHash'];
    if (typeof former === 'string') return sameText(former, hash);
    const { kid, mac } = objectOf(request['inputDigest']);
    if (typeof kid !== 'string' || typeof mac !== 'string') {
      throw notVerifiable('the decision was made without a hash of its input');
    }
    const resource = await this.#resourceKey(objectOf(request['resource']));
    const expected =
      resource === undefined
        ? undefined
        : this.#parts.registry.inputMacBy(kid, { tenant: textOf(request['tenant']), resource, hash });
    if (expected === undefined) throw notVerifiable('the key of its digest was destroyed');
    return sameText(expected, mac);
  }

  /** The key of the resource as it was digested; undefined when it was a principal that is forgotten. */
  async #resourceKey(resource: JsonObject): Promise<string | undefined> {
    const [type, id] = [textOf(resource['type']), textOf(resource['id'])];
    if (!isPrincipalType(type)) return entityKey({ type, id });
    const entity = (await this.#parts.registry.resolve([id])).get(id);
    return entity === undefined ? undefined : entityKey({ type, id: entityId(entity) });
  }
}

function notVerifiable(detail: string): AppError {
  return new AppError('INPUT_NOT_VERIFIABLE', detail);
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}
