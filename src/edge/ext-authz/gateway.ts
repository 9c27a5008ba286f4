/**
 * One configured gateway: from its question to the outcome. Invariants: what cannot be understood is a logged
 * deny with its code; an allow comes from decisions that all allow, for every model that the request names.
 */
import type { Credential } from '../../domain/credential.ts';
import { tenantPrefix } from '../../domain/names.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';
import type { DecisionCaller, DecisionEngine } from '../../pdp/engine.ts';
import type { OutcomeDesk } from '../../pdp/outcome-desk.ts';
import type { Logger } from '../../telemetry/logger.ts';
import type { AiRequest } from '../ai-requests/ai-request.ts';
import { AiRequestReader } from '../ai-requests/request-reader.ts';
import type { Outcome } from './answer.ts';
import {
  type Caller,
  type Identified,
  identifyCaller,
  type IdentityServices,
  type NamedCaller,
} from './caller-identity.ts';
import { type ClientRequest, describeClient, type Question } from './client-request.ts';
import { planDecisions, refusedRequest } from './decision-plan.ts';
import { type Foreign, NO_MODEL, type Registry, type Tiers } from './entity-names.ts';
import { hashInput } from './input-hash.ts';
import { deny, RequestDenied } from './request-denied.ts';
import { TrustedHeaders } from './trusted-headers.ts';

/** What a gateway needs of the service. */
export interface GatewayServices extends IdentityServices {
  readonly engine: Pick<DecisionEngine, 'decide' | 'refuse'>;
  readonly outcomes: Pick<OutcomeDesk, 'withdraw'>;
  readonly logger: Logger;
  readonly isRegistered: Registry;
  readonly isForeign: Foreign;
  readonly tierOf: Tiers;
}

/** What is known of a request when it is denied. */
interface Known {
  tenant: string | undefined;
  identified: Identified | undefined;
  ai: AiRequest | undefined;
  dialect: string | undefined;
}

/** A request that something else than the headers of the question describes, and whom it names. */
export interface DescribedRequest extends NamedCaller {
  readonly client: ClientRequest;
}

export class Gateway {
  readonly profile: PepProfile;
  readonly #services: GatewayServices;
  readonly #reader: AiRequestReader;
  readonly #trusted: TrustedHeaders;

  constructor(profile: PepProfile, services: GatewayServices) {
    this.profile = profile;
    this.#services = services;
    this.#trusted = new TrustedHeaders(profile);
    this.#reader = new AiRequestReader({
      dialects: profile.dialects,
      pathPrefix: profile.pathPrefix,
      mcp: profile.mcp,
      allowsSeveralModels: profile.severalModels === 'decide',
      namesAccounts: profile.accounts === 'allow',
    });
  }

  /**
   * @param describe says what the client asks, where the question itself does not.
   * Rejects like DecisionEngine.decide; then no decision was made known.
   */
  async answer(
    question: Question,
    pep: DecisionCaller,
    describe: () => DescribedRequest = () => ({
      client: describeClient(question, this.profile, this.#trusted),
      principal: undefined,
    }),
  ): Promise<Outcome> {
    const known: Known = { tenant: undefined, identified: undefined, ai: undefined, dialect: undefined };
    try {
      const { client, ...named } = describe();
      const route = this.#routeOf(client.host);
      known.tenant = route.tenant;
      known.identified = await this.#identify(question, pep.credential, named, route.tenant);
      const { caller, authentication, refusal } = known.identified;
      if (refusal !== undefined) deny(refusal.code, refusal.message);
      const ai = this.#read(client, route.model, known);
      return await this.#decide(ai, caller, client, withAuthentication(pep, authentication));
    } catch (error) {
      if (!(error instanceof RequestDenied)) throw error;
      const { caller, authentication } = known.identified ?? {};
      const request = refusedRequest(caller, known.tenant, known.ai);
      const asker = withAuthentication(pep, authentication);
      const decision = await this.#services.engine.refuse(request, error.refusal, asker);
      return { decision, request, requestedName: known.ai?.models[0] ?? '', dialect: known.dialect };
    }
  }

  /** Tenant and model that the host stands for. */
  #routeOf(host: string): { readonly tenant: string | undefined; readonly model: string | undefined } {
    const { hosts } = this.profile;
    if (Object.keys(hosts).length === 0) return { tenant: undefined, model: undefined };
    const dot = host.indexOf('.');
    const found = [host, ...(dot > 0 ? [`*${host.slice(dot)}`] : [])].find(name =>
      Object.hasOwn(hosts, name),
    );
    const route = found === undefined ? undefined : hosts[found];
    if (route === undefined) return deny('UNKNOWN_TENANT', 'no tenant belongs to the host of the request');
    return { tenant: route.tenant, model: route.model };
  }

  /** The caller; a tenant that the host stands for is the one whose data is used. */
  async #identify(
    { headers }: Question,
    credential: Credential,
    named: NamedCaller,
    tenant: string | undefined,
  ): Promise<Identified> {
    const identified = await identifyCaller(this.profile, headers, credential, this.#services, named);
    const { caller } = identified;
    if (tenant === undefined) return identified;
    if (caller.tenant !== undefined && caller.tenant !== tenant) {
      deny('UNKNOWN_TENANT', 'the host belongs to another tenant than the gateway names');
    }
    return { ...identified, caller: { ...caller, tenant } };
  }

  #read(client: ClientRequest, boundModel: string | undefined, known: Known): AiRequest {
    const understanding = this.#reader.read(client, boundModel);
    if (!understanding.understood) {
      known.dialect = understanding.dialect;
      return deny(understanding.refusal.code, understanding.refusal.message);
    }
    known.ai = understanding.request;
    known.dialect = understanding.request.dialect;
    return understanding.request;
  }

  async #decide(
    ai: AiRequest,
    caller: Caller,
    { body }: ClientRequest,
    pep: DecisionCaller,
  ): Promise<Outcome> {
    const hash = body.kind === 'whole' && body.bytes.byteLength > 0 ? hashInput(body.bytes) : undefined;
    const { engine, isRegistered, tierOf } = this.#services;
    const planned = planDecisions(ai, caller, this.profile, isRegistered, hash);
    const allowed: Outcome[] = [];
    let isAnswered = false;
    try {
      for (const { request, name } of planned) {
        const decision = await engine.decide(request, pep);
        const tier = this.profile.inference === undefined ? undefined : tierOf(request.principal);
        const outcome = { decision, request, requestedName: name, dialect: ai.dialect, tier };
        // the first deny is the answer; the models after it were not asked for
        if (decision.decision !== 'allow') return this.#toldOf(outcome, ai, caller, pep.credential);
        allowed.push(outcome);
      }
      isAnswered = true;
    } finally {
      if (!isAnswered) await this.#withdraw(allowed, pep.credential);
    }
    const [first] = allowed;
    if (first === undefined) throw new Error(`dialect ${ai.dialect} asks for nothing`);
    return first;
  }

  /** A model of another tenant that a client names is one that is not there, for a gateway that is limited to tenants. */
  #toldOf(outcome: Outcome, ai: AiRequest, caller: Caller, { tenants }: Credential): Outcome {
    const { decision, request, requestedName } = outcome;
    const { type, id } = request.resource;
    const isNamedHere = Object.hasOwn(this.profile.models, requestedName);
    if (
      type !== 'Model' ||
      isNamedHere ||
      LIMITED.has(decision.reason.code) ||
      !this.#services.isForeign(type, id, tenants)
    )
      return outcome;
    return {
      ...outcome,
      request: refusedRequest(caller, caller.tenant, ai),
      decision: {
        ...decision,
        reason: { ...NO_MODEL, level: 'endpoint', policies: [] },
        levels: {},
        obligations: [],
        revision: { ...decision.revision, layers: {} },
      },
    };
  }

  /** The request does not go on, so nothing is to be held for the models that were allowed. */
  async #withdraw(allowed: readonly Outcome[], pep: Credential): Promise<void> {
    const { outcomes, logger } = this.#services;
    for (const { decision, request } of allowed) {
      try {
        await outcomes.withdraw(decision, request.tenant ?? tenantPrefix(request.principal.id) ?? '', pep);
      } catch (error) {
        // what it holds expires by itself
        logger.warn({ err: error, decisionId: decision.decisionId }, 'an allow could not be withdrawn');
      }
    }
  }
}

/** Codes of limits, which count what policies allow: that a model is there is no secret then. */
const LIMITED: ReadonlySet<string> = new Set(['RATE_LIMITED', 'BUDGET_EXHAUSTED', 'CONCURRENCY_LIMITED']);

/** Who asks, with how the caller was authenticated for the log. */
function withAuthentication(
  pep: DecisionCaller,
  authentication: Identified['authentication'],
): DecisionCaller {
  if (authentication === undefined) return pep;
  const known = { ...pep, authentication };
  return known;
}
