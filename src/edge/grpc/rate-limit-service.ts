/**
 * `envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit`, answered from the limits of the bundles. Invariants: an
 * OK leaves only when every limit that was asked for has room, and was read back from its bytes; what fails after the
 * gateway is known is over the limit, because Envoy takes an error for an OK unless it is told otherwise.
 */
import { isDeepStrictEqual } from 'node:util';
import type { sendUnaryData } from '@grpc/grpc-js';
import { AppError } from '../../domain/errors.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';
import type { ProfileRegistry, ProfileView } from '../../identity/pep-profiles/profile-registry.ts';
import type { LimitResult } from '../../domain/limit-answer.ts';
import { AnswerHeaders, secondsOf, type StandingLimit } from '../../limits/answer-headers.ts';
import { LimitResults } from '../../limits/limit-results.ts';
import type { Descriptor, DescriptorAnswer, DescriptorDesk } from '../../pdp/descriptor-limits.ts';
import { PepAuthentication } from '../ext-authz/pep-authentication.ts';
import { logFailure } from '../http/problem.ts';
import type { Services } from '../http/services.ts';
import { failureOf } from './call-failure.ts';
import { type Call, hostOf, metadataOf, peerOf, PROFILE_HEADER } from './call-metadata.ts';
import type { GrpcConnections } from './connections.ts';
import { envoyUnit } from './limit-metadata.ts';
import type { Protos } from './protos.ts';
import {
  describe,
  type DescriptorStatus,
  OK,
  OVER_LIMIT,
  type RateLimitRequest,
  rateLimitRequestSchema,
  type RateLimitResponse,
  rateLimitResponseSchema,
} from './rate-limit-messages.ts';

export type RateLimitServices = Pick<Services, 'authenticator' | 'clock' | 'ids' | 'logger' | 'metrics'> & {
  readonly descriptors: Pick<DescriptorDesk, 'check'>;
};

const ROUTE = '/envoy.service.ratelimit.v3.RateLimitService/ShouldRateLimit';
const UNITS = { SECOND: 1, MINUTE: 2, HOUR: 3, DAY: 4, MONTH: 5, YEAR: 6, WEEK: 7 } as const;
/** Largest uint32. */
const MAX_COUNT = 4_294_967_295;

interface Endpoint {
  readonly profile: PepProfile;
  readonly authentication: PepAuthentication;
}

/** An answer with the status that it counts as. */
interface Encoded {
  readonly bytes: Buffer;
  readonly status: number;
}

export class RateLimitService {
  readonly #services: RateLimitServices;
  readonly #connections: GrpcConnections;
  readonly #endpoints: ProfileView<Endpoint | undefined>;
  readonly #method: Protos['shouldRateLimit'];
  readonly #headers = new AnswerHeaders();
  readonly #results = new LimitResults();

  constructor(
    { connections, ...services }: RateLimitServices & { readonly connections: GrpcConnections },
    { pepProfiles }: { readonly pepProfiles: Pick<ProfileRegistry, 'derive'> },
    method: Protos['shouldRateLimit'],
  ) {
    this.#services = services;
    this.#connections = connections;
    this.#method = method;
    this.#endpoints = pepProfiles.derive(profile =>
      profile.kind === 'envoy' || profile.kind === 'agentgateway'
        ? { profile, authentication: new PepAuthentication(profile, services.authenticator) }
        : undefined,
    );
  }

  /** Answers one call, once; never throws. */
  check(call: Call, callback: sendUnaryData<Buffer>): void {
    void this.#finish(call, callback);
  }

  async #finish(call: Call, callback: sendUnaryData<Buffer>): Promise<void> {
    const { clock, metrics } = this.#services;
    const startedAt = clock.monotonic();
    let status = 500;
    try {
      const answer = await this.#answer(call);
      ({ status } = answer);
      callback(null, answer.bytes);
    } catch (error) {
      if (error instanceof AppError) ({ status } = error);
      callback(failureOf(error));
    } finally {
      metrics.requestServed(ROUTE, 'POST', status, (clock.monotonic() - startedAt) / 1000);
    }
  }

  async #answer(call: Call): Promise<Encoded> {
    let endpoint: Endpoint | undefined;
    let isKnown = false;
    let asked = 0;
    try {
      const request = this.#decode(call.request);
      asked = request.descriptors.length;
      endpoint = this.#endpointOf(call, request);
      const { authentication, profile } = endpoint;
      const credential = authentication.authenticatePeer(
        peerOf(call, this.#connections),
        header => metadataOf(call, header) ?? metadataOf(call, 'authorization') ?? '',
      );
      isKnown = true;
      const descriptors = request.descriptors.map(one => believed(describe(one, request), profile));
      const answers = await this.#services.descriptors.check(request.domain, descriptors, credential);
      return this.#encode(answers);
    } catch (error) {
      logFailure(this.#services.logger, error, { route: ROUTE });
      if (!isKnown || endpoint?.profile.onFailure === 'error') throw error;
      return this.#overLimit(asked);
    }
  }

  /** @throws AppError INVALID_REQUEST */
  #decode(bytes: Buffer): RateLimitRequest {
    let decoded: unknown;
    try {
      decoded = this.#method.requestDeserialize(bytes);
    } catch {
      decoded = undefined;
    }
    const parsed = rateLimitRequestSchema.safeParse(decoded);
    if (!parsed.success) throw new AppError('INVALID_REQUEST', 'the message is no RateLimitRequest');
    return parsed.data;
  }

  /** The profile that the metadata names, else the domain of the limits, else the host. @throws AppError NOT_FOUND */
  #endpointOf(call: Call, { domain }: RateLimitRequest): Endpoint {
    const names = [metadataOf(call, PROFILE_HEADER), domain, hostOf(call.getHost())];
    for (const name of names) {
      const endpoint = name === undefined ? undefined : this.#endpoints.get(name);
      if (endpoint !== undefined) return endpoint;
    }
    throw new AppError(
      'NOT_FOUND',
      'the call names no profile that may ask over gRPC: call the domain of the limits as the profile is called',
    );
  }

  #encode(answers: readonly DescriptorAnswer[]): Encoded {
    const isOver = answers.some(({ overLimit }) => overLimit);
    const limits = new Map<string, StandingLimit>();
    for (const answer of answers) for (const limit of answer.limits) limits.set(limit.charge.key, limit);
    const told = this.#headers.write([...limits.values()], isOver ? retryAfter(limits.values()) : undefined);
    const headers = Object.entries(told).map(([key, value]) => ({ key, value }));
    const statuses = answers.map(answer => statusOf(answer, this.#results.of(answer.limits, true)));
    return this.#written({
      overall_code: isOver ? OVER_LIMIT : OK,
      ...(statuses.length === 0 ? {} : { statuses }),
      ...(headers.length === 0 ? {} : { response_headers_to_add: headers }),
    });
  }

  #overLimit(asked: number): Encoded {
    const statuses = Array.from({ length: asked }, () => ({ code: OVER_LIMIT }) as const);
    return this.#written({ overall_code: OVER_LIMIT, ...(asked === 0 ? {} : { statuses }) });
  }

  /** @throws Error when the bytes would say anything else than `response` */
  #written(response: RateLimitResponse): Encoded {
    const bytes = this.#method.responseSerialize(response);
    const decoded: unknown = this.#method.responseDeserialize(bytes);
    if (!rateLimitResponseSchema.safeParse(decoded).success || !isDeepStrictEqual(decoded, response)) {
      throw new Error('a RateLimitResponse says something else after encoding');
    }
    return { bytes, status: response.overall_code === OK ? 200 : 429 };
  }
}

/** A gateway that may not say who its callers are may not count for them either. @throws AppError ASSERTION_NOT_ALLOWED */
function believed(descriptor: Descriptor, { identity, models }: PepProfile): Descriptor {
  const { principal, key, tenant, model } = descriptor;
  if (identity.mode !== 'assert' && (principal ?? key ?? tenant) !== undefined) {
    throw new AppError('ASSERTION_NOT_ALLOWED', 'the profile of the gateway lets it name no caller');
  }
  const id = model !== undefined && Object.hasOwn(models, model) ? models[model] : undefined;
  return id === undefined ? descriptor : { ...descriptor, model: id };
}

/** The longest wait; null when one of them never ends. */
function retryAfter(limits: Iterable<StandingLimit>): number | null {
  let longest = 0;
  for (const { standing } of limits) {
    if (!standing.violated) continue;
    if (standing.retryAfterMs === null) return null;
    longest = Math.max(longest, standing.retryAfterMs);
  }
  return longest;
}

/** The tightest limit of a descriptor. */
function statusOf({ overLimit }: DescriptorAnswer, results: readonly LimitResult[]): DescriptorStatus {
  const code = overLimit ? OVER_LIMIT : OK;
  const [tightest] = results.toSorted(
    (one, other) =>
      Number(other.violated ?? false) - Number(one.violated ?? false) ||
      one.remaining / Math.max(1, one.limit) - other.remaining / Math.max(1, other.limit),
  );
  if (tightest === undefined) return { code };
  const unit = envoyUnit(tightest);
  const wait = tightest.violated === true ? secondsOf(tightest.retryAfterMs ?? 0) : tightest.resetSeconds;
  return {
    code,
    current_limit: {
      ...(tightest.limit === 0 ? {} : { requests_per_unit: Math.min(tightest.limit, MAX_COUNT) }),
      ...(unit === undefined ? {} : { unit: UNITS[unit] }),
      name: tightest.name,
    },
    ...(tightest.remaining === 0 ? {} : { limit_remaining: Math.min(tightest.remaining, MAX_COUNT) }),
    ...(wait === 0 ? {} : { duration_until_reset: { seconds: wait } }),
  };
}
