/**
 * `envoy.service.auth.v3.Authorization/Check`: the questions of Envoy and of gateways that ask like it. Invariants:
 * an OK leaves only for a decision that allows and was read back from its bytes; whatever fails is an error of
 * the call, or a deny where the profile wants that.
 */
import type { sendUnaryData } from '@grpc/grpc-js';
import { AppError } from '../../domain/errors.ts';
import type { PepKind, PepProfile } from '../../domain/pep-profile.ts';
import { Turns } from '../../domain/turns.ts';
import type { DecisionCaller } from '../../pdp/engine.ts';
import type { ProfileRegistry, ProfileView } from '../../identity/pep-profiles/profile-registry.ts';
import type { HeaderList } from '../ai-requests/header-list.ts';
import { answerFailure } from '../ext-authz/answer.ts';
import { describeClient } from '../ext-authz/client-request.ts';
import { foreignOf, registryOf, tiersOf } from '../ext-authz/entity-names.ts';
import { Gateway, type GatewayServices } from '../ext-authz/gateway.ts';
import { PepAuthentication } from '../ext-authz/pep-authentication.ts';
import { deny } from '../ext-authz/request-denied.ts';
import { TrustedHeaders } from '../ext-authz/trusted-headers.ts';
import { logFailure } from '../http/problem.ts';
import { saneRequestId, saneTrace } from '../http/request-headers.ts';
import type { Services } from '../http/services.ts';
import { failureOf } from './call-failure.ts';
import { type Call, hostOf, metadataOf, peerOf, PROFILE_HEADER } from './call-metadata.ts';
import { CheckCodec } from './check-codec.ts';
import type { GrpcConnections } from './connections.ts';
import type { CheckAttributes } from './check-messages.ts';
import { QuestionReader } from './check-question.ts';
import { type EncodedCheck, encodeFailure, encodeOutcome } from './check-response.ts';
import { namedPrincipal } from './named-principal.ts';
import { certificateDigest } from './peer-certificate.ts';
import type { Protos } from './protos.ts';

/** What the service needs. */
export type CheckServices = Omit<GatewayServices, 'isRegistered' | 'isForeign' | 'tierOf'> &
  Pick<Services, 'authenticator' | 'clock' | 'ids' | 'logger' | 'metrics'>;

export interface CheckOptions {
  readonly pepProfiles: Pick<ProfileRegistry, 'derive'>;
  /** One check in this many is written to the request log. */
  readonly logSampleRate: number;
}

/** Kinds of gateways that ask in this way; profiles of others are not to be found here. */
const KINDS: readonly PepKind[] = ['envoy', 'agentgateway'];
/** How the call is named in metrics and in the log. */
const ROUTE = '/envoy.service.auth.v3.Authorization/Check';
/** Names the profile: in the context extensions of a route, and in the metadata of the call. */
const EXTENSION = 'duramen_profile';
/** The key of a gateway that cannot add metadata: extensions are its operator's, never its client's. */
const KEY_EXTENSION = 'duramen_key';

/** One profile, ready to be asked. */
interface Endpoint {
  readonly profile: PepProfile;
  readonly gateway: Gateway;
  readonly authentication: PepAuthentication;
  readonly trusted: TrustedHeaders;
}

export class CheckService {
  readonly #services: CheckServices;
  readonly #connections: GrpcConnections;
  /** undefined: a gateway that does not ask in this way. */
  readonly #endpoints: ProfileView<Endpoint | undefined>;
  readonly #codec: CheckCodec;
  readonly #questions = new QuestionReader();
  readonly #turns = new Turns();
  readonly #logSampleRate: number;
  #served = 0;

  constructor(
    { connections, ...services }: CheckServices & { readonly connections: GrpcConnections },
    { pepProfiles: profiles, logSampleRate }: CheckOptions,
    check: Protos['check'],
  ) {
    this.#services = services;
    this.#connections = connections;
    this.#codec = new CheckCodec(check);
    this.#logSampleRate = logSampleRate;
    const { directory } = services;
    const known = {
      ...services,
      isRegistered: registryOf(directory),
      isForeign: foreignOf(directory),
      tierOf: tiersOf(directory),
    };
    this.#endpoints = profiles.derive(profile =>
      KINDS.includes(profile.kind)
        ? {
            profile,
            gateway: new Gateway(profile, known),
            authentication: new PepAuthentication(profile, services.authenticator),
            trusted: new TrustedHeaders(profile),
          }
        : undefined,
    );
  }

  /** Answers one call, once; never throws. */
  check(call: Call, callback: sendUnaryData<Buffer>): void {
    void this.#finish(call, callback);
  }

  async #finish(call: Call, callback: sendUnaryData<Buffer>): Promise<void> {
    let bytes: Buffer;
    try {
      bytes = await this.#serve(call);
    } catch (error) {
      callback(failureOf(error));
      return;
    }
    callback(null, bytes);
  }

  async #serve(call: Call): Promise<Buffer> {
    const { clock, ids, metrics } = this.#services;
    const startedAt = clock.monotonic();
    await this.#turns.end();
    const attributes = this.#codec.decodeRequest(call.request);
    const requestId = requestIdOf(call, attributes) ?? ids.next();
    // what a call that ends as an error counts as
    let status = 500;
    try {
      const answer = await this.#answer(call, attributes, requestId);
      ({ status } = answer);
      return answer.bytes;
    } catch (error) {
      if (error instanceof AppError) ({ status } = error);
      throw error;
    } finally {
      metrics.requestServed(ROUTE, 'POST', status, (clock.monotonic() - startedAt) / 1000);
      this.#sample(status, requestId);
    }
  }

  async #answer(
    call: Call,
    attributes: CheckAttributes | undefined,
    httpRequestId: string,
  ): Promise<EncodedCheck> {
    let endpoint: Endpoint | undefined;
    let isKnown = false;
    try {
      if (attributes === undefined) {
        throw new AppError('INVALID_REQUEST', 'the message is no CheckRequest');
      }
      endpoint = this.#endpointOf(call, attributes);
      const { profile, gateway, authentication, trusted } = endpoint;
      const credential = authentication.authenticatePeer(
        peerOf(call, this.#connections),
        header => metadataOf(call, header) ?? metadataOf(call, 'authorization') ?? keyIn(attributes),
      );
      isKnown = true;
      const { question, fault } = this.#questions.read(attributes.request?.http, profile);
      const trace = traceOf(call, question.headers);
      const pep: DecisionCaller = { credential, httpRequestId, ...(trace === undefined ? {} : { trace }) };
      const outcome = await gateway.answer(question, pep, () => {
        if (fault !== undefined) deny('INPUT_REJECTED', fault);
        const client = describeClient(question, profile, trusted);
        const certificate = certificateDigest(attributes.source?.certificate ?? '');
        return { client, principal: namedPrincipal(profile, attributes), certificate };
      });
      return encodeOutcome(outcome, profile, this.#codec);
    } catch (error) {
      this.#report(error, httpRequestId);
      const failure = isKnown && endpoint !== undefined ? deniedFailure(error, endpoint.profile) : undefined;
      if (failure === undefined || endpoint === undefined) throw error;
      return encodeFailure(answerFailure(failure, endpoint.profile), failure.code, this.#codec);
    }
  }

  /** @throws AppError NOT_FOUND or INVALID_REQUEST */
  #endpointOf(call: Call, { context_extensions: extensions }: CheckAttributes): Endpoint {
    const [name = hostOf(call.getHost())] = [
      Object.hasOwn(extensions, EXTENSION) ? extensions[EXTENSION] : undefined,
      metadataOf(call, PROFILE_HEADER),
    ].filter(text => text !== undefined);
    const endpoint = this.#endpoints.get(name);
    if (endpoint !== undefined) return endpoint;
    throw new AppError(
      'NOT_FOUND',
      `the call names no profile that may ask over gRPC: set \`${EXTENSION}\` in the context extensions of the route, or \`${PROFILE_HEADER}\` in the metadata of the call`,
    );
  }

  #report(error: unknown, requestId: string): void {
    const { logger, metrics } = this.#services;
    logFailure(logger, error, { route: ROUTE, requestId });
    if (!(error instanceof AppError)) return;
    if (error.code === 'LOG_BACKPRESSURE' || error.code === 'LOG_UNAVAILABLE') {
      metrics.entryDropped(error.code);
    }
  }

  #sample(status: number, requestId: string): void {
    this.#served += 1;
    if (this.#served % this.#logSampleRate !== 0) return;
    this.#services.logger.info({ route: ROUTE, status, requestId, sampled: this.#logSampleRate }, 'request');
  }
}

/**
 * A failure that is answered as a deny: when the request itself is at fault, which no gateway is to let pass
 * however it treats errors, and when the profile wants every failure to be one. undefined: an error of the call.
 */
function deniedFailure(error: unknown, { onFailure }: PepProfile): AppError | undefined {
  const failure =
    error instanceof AppError
      ? error
      : new AppError('INTERNAL_ERROR', 'the decision failed inside the service');
  return failure.status < 500 || onFailure === 'deny' ? failure : undefined;
}

/** The gateway's id of the call, else that of the client's request, where they may be believed. */
function requestIdOf(call: Call, attributes: CheckAttributes | undefined): string | undefined {
  const http = attributes?.request?.http;
  const { 'x-request-id': own } = http?.headers ?? {};
  return saneRequestId(metadataOf(call, 'x-request-id')) ?? saneRequestId(own) ?? saneRequestId(http?.id);
}

/** The trace of the gateway, else that of the client's request. */
function traceOf(call: Call, headers: HeaderList): string | undefined {
  const [own, ...more] = headers.all('traceparent');
  return saneTrace(metadataOf(call, 'traceparent') ?? (more.length === 0 ? own : undefined));
}

/** The key in the context extensions; empty: none. */
function keyIn({ context_extensions: extensions }: CheckAttributes): string {
  return (Object.hasOwn(extensions, KEY_EXTENSION) ? extensions[KEY_EXTENSION] : undefined) ?? '';
}
