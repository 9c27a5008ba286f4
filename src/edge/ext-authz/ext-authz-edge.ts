/**
 * The questions of gateways, straight on node:http: any method, any path below a profile, before anything
 * normalises the target. Invariants: an allow leaves only for a decision that allows; whatever fails is answered
 * closed, in the way that the gateway of the profile takes for closed.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Decision } from '../../domain/decision.ts';
import { AppError, type ErrorCode } from '../../domain/errors.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';
import { Turns } from '../../domain/turns.ts';
import type { DecisionCaller } from '../../pdp/engine.ts';
import { HeaderList } from '../ai-requests/header-list.ts';
import type { ProfileRegistry, ProfileView } from '../../identity/pep-profiles/profile-registry.ts';
import { logFailure, problemOf } from '../http/problem.ts';
import { ClientGone, readBody } from '../http/request-body.ts';
import { REQUEST_ID_HEADER, requestIdOf, traceOf } from '../http/request-headers.ts';
import type { Services } from '../http/services.ts';
import { answerDecision, answerFailure, type GatewayAnswer } from './answer.ts';
import { foreignOf, registryOf, tiersOf } from './entity-names.ts';
import { Gateway, type GatewayServices } from './gateway.ts';
import { clientStatus } from './gateway-kinds.ts';
import { describeHook, type Hook, hookOf, type HookVerdict } from './hooks.ts';
import { PepAuthentication } from './pep-authentication.ts';

/** Paths that this file serves begin with these. */
const QUESTION_PREFIX = '/ext-authz/';
const HOOK_PREFIX = '/hooks/';
/** How the routes are called in metrics and in the log. */
const QUESTION_ROUTE = '/ext-authz/{profile}';
const HOOK_ROUTE = '/hooks/{kind}/{profile}';

/** What every gateway takes for a deny, when an answer cannot be written as it should be. */
const LAST_RESORT_STATUS = 403;
/** Failures that are about the gateway itself, not about its question. */
const OF_THE_GATEWAY: readonly ErrorCode[] = [
  'NOT_FOUND',
  'METHOD_NOT_ALLOWED',
  'CREDENTIAL_REQUIRED',
  'ROLE_REQUIRED',
];

/** What the edge needs of the service. */
type ExtAuthzServices = Omit<GatewayServices, 'isRegistered' | 'isForeign' | 'tierOf'> &
  Pick<Services, 'authenticator' | 'clock' | 'ids' | 'logger' | 'metrics'>;

/** One profile, ready to be asked. */
interface Endpoint {
  readonly profile: PepProfile;
  readonly gateway: Gateway;
  readonly authentication: PepAuthentication;
  readonly hook: Hook | undefined;
}

/** A target below one of the prefixes, taken apart. */
interface Place {
  readonly route: string;
  readonly endpoint: Endpoint | undefined;
  readonly rest: string;
  /** A hook's path, which takes POST alone. */
  readonly isHook: boolean;
}

export class ExtAuthzEdge {
  readonly #services: ExtAuthzServices;
  readonly #endpoints: ProfileView<Endpoint>;
  readonly #logSampleRate: number;
  readonly #turns = new Turns();
  #served = 0;

  constructor(services: ExtAuthzServices, profiles: Pick<ProfileRegistry, 'derive'>, logSampleRate: number) {
    this.#services = services;
    this.#logSampleRate = logSampleRate;
    const { directory } = services;
    const known = {
      ...services,
      isRegistered: registryOf(directory),
      isForeign: foreignOf(directory),
      tierOf: tiersOf(directory),
    };
    this.#endpoints = profiles.derive(profile => ({
      profile,
      gateway: new Gateway(profile, known),
      authentication: new PepAuthentication(profile, services.authenticator),
      hook: hookOf(profile.kind),
    }));
  }

  /** Whether a raw request target is to be served here. */
  serves(target: string): boolean {
    return target.startsWith(QUESTION_PREFIX) || target.startsWith(HOOK_PREFIX);
  }

  /** Answers one question; never rejects. */
  async serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const startedAt = this.#services.clock.monotonic();
    const requestId = requestIdOf(incoming, () => this.#services.ids.next());
    const { route, endpoint, rest, isHook } = this.#placeOf(incoming.url ?? '');
    let answer: GatewayAnswer;
    try {
      if (isHook && incoming.method !== 'POST') {
        throw new AppError('METHOD_NOT_ALLOWED', `hooks take POST, not ${incoming.method}`);
      }
      if (endpoint === undefined) {
        throw new AppError('NOT_FOUND', 'no profile has this path: GET /v1/pep-profiles lists them');
      }
      answer = await this.#answer(endpoint, rest, incoming, requestId);
    } catch (error) {
      if (error instanceof ClientGone) return;
      answer = this.#failed(error, endpoint, route, requestId);
    }
    try {
      send(outgoing, answer, requestId);
    } catch (error) {
      logFailure(this.#services.logger, error, { route, requestId });
      // a connection that breaks off may be an allow for a gateway that fails open: a bare deny is not
      if (outgoing.headersSent) outgoing.destroy();
      else outgoing.writeHead(LAST_RESORT_STATUS).end();
    }
    const seconds = (this.#services.clock.monotonic() - startedAt) / 1000;
    this.#services.metrics.requestServed(route, incoming.method ?? '', answer.status, seconds);
    this.#sample(route, answer.status, requestId);
  }

  #placeOf(target: string): Place {
    if (target.startsWith(QUESTION_PREFIX)) {
      const { name, rest } = cutName(target.slice(QUESTION_PREFIX.length));
      const found = this.#endpoints.get(name);
      const endpoint = found?.hook === undefined ? found : undefined;
      return { route: QUESTION_ROUTE, endpoint, rest, isHook: false };
    }
    const { name: kind, rest: below } = cutName(target.slice(HOOK_PREFIX.length));
    const { name, rest } = cutName(below.slice(1));
    const found = this.#endpoints.get(name);
    const isHook = name !== '' && hookOf(kind)?.path === rest;
    const endpoint = isHook && found?.profile.kind === kind ? found : undefined;
    return { route: HOOK_ROUTE, endpoint, rest, isHook };
  }

  async #answer(
    { profile, gateway, authentication, hook }: Endpoint,
    rest: string,
    incoming: IncomingMessage,
    httpRequestId: string,
  ): Promise<GatewayAnswer> {
    const credential = authentication.authenticate(incoming);
    const trace = traceOf(incoming);
    const pep: DecisionCaller = { credential, httpRequestId, ...(trace === undefined ? {} : { trace }) };
    const bytes = await readQuestion(incoming, profile, hook);
    await this.#turns.end();
    const question = {
      method: incoming.method ?? '',
      rest,
      headers: HeaderList.ofRaw(incoming.rawHeaders),
      bytes,
    };
    if (hook === undefined) return answerDecision(await gateway.answer(question, pep), profile);
    const { decision } = await gateway.answer(question, pep, () => describeHook(hook, bytes, profile));
    return hookAnswer(hook, verdictOf(decision, profile));
  }

  #failed(error: unknown, endpoint: Endpoint | undefined, route: string, requestId: string): GatewayAnswer {
    const { logger, metrics } = this.#services;
    logFailure(logger, error, { route, requestId });
    if (
      error instanceof AppError &&
      (error.code === 'LOG_BACKPRESSURE' || error.code === 'LOG_UNAVAILABLE')
    ) {
      metrics.entryDropped(error.code);
    }
    const failure =
      error instanceof AppError
        ? error
        : new AppError('INTERNAL_ERROR', 'the decision failed inside the service');
    if (endpoint?.hook !== undefined && failure.code !== 'METHOD_NOT_ALLOWED') {
      const { code, message } = failure;
      return hookAnswer(endpoint.hook, { isAllowed: false, code, message, decisionId: undefined });
    }
    // the gateway itself is at fault: its operator needs the problem, and every gateway takes it for a deny
    const isOfGateway = OF_THE_GATEWAY.includes(failure.code);
    if (endpoint !== undefined && !isOfGateway) return answerFailure(failure, endpoint.profile);
    const { status, headers, body } = problemOf(failure, requestId);
    const allow = failure.code === 'METHOD_NOT_ALLOWED' ? { allow: 'POST' } : {};
    return { status, headers: { ...headers, ...allow }, clientHeaders: {}, body: JSON.stringify(body) };
  }

  #sample(route: string, status: number, requestId: string): void {
    this.#served += 1;
    if (this.#served % this.#logSampleRate !== 0) return;
    this.#services.logger.info({ route, status, requestId, sampled: this.#logSampleRate }, 'request');
  }
}

/** `name/rest?query` */
function cutName(text: string): { name: string; rest: string } {
  const end = text.search(/[/?]/);
  return end === -1 ? { name: text, rest: '' } : { name: text.slice(0, end), rest: text.slice(end) };
}

/** The bytes of the question; undefined when there are more than the profile takes. */
async function readQuestion(
  incoming: IncomingMessage,
  { body, maxBodyBytes }: PepProfile,
  hook: Hook | undefined,
): Promise<Buffer | undefined> {
  if (body === 'none' && hook === undefined) {
    incoming.resume();
    return Buffer.alloc(0);
  }
  try {
    return await readBody(incoming, maxBodyBytes);
  } catch (error) {
    if (error instanceof AppError && error.code === 'PAYLOAD_TOO_LARGE') return undefined;
    throw error;
  }
}

function verdictOf(decision: Decision, profile: PepProfile): HookVerdict {
  const { decisionId, reason, headers, problem } = decision;
  const { code, message } = reason;
  const isAllowed = decision.decision === 'allow';
  const status = isAllowed ? 200 : clientStatus(profile, code, problem?.status);
  return { isAllowed, code, message, decisionId, status, headers };
}

function hookAnswer(hook: Hook, verdict: HookVerdict): GatewayAnswer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json' },
    clientHeaders: verdict.headers ?? {},
    body: JSON.stringify(hook.answer(verdict)),
  };
}

function send(
  outgoing: ServerResponse,
  { status, headers, clientHeaders, body }: GatewayAnswer,
  requestId: string,
): void {
  outgoing.writeHead(status, {
    ...clientHeaders,
    ...headers,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    [REQUEST_ID_HEADER]: requestId,
    'content-length': Buffer.byteLength(body),
  });
  outgoing.end(body);
}
