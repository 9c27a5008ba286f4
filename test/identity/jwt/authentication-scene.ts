/** A token authenticator over a test issuer, with everything real but the directory and the clock. */
import type { Credential } from '../../../src/domain/credential.ts';
import { issuerSettingsSchema, type IssuerSettingsInput } from '../../../src/domain/issuer-settings.ts';
import type { JsonObject } from '../../../src/domain/json.ts';
import type { PresentedOpaque, PresentedToken } from '../../../src/domain/presented-credential.ts';
import type { CallerFacts, CallerOutcome } from '../../../src/identity/caller.ts';
import { Enrolment, type PrincipalRegistry } from '../../../src/identity/callers/enrolment.ts';
import { RevocationList } from '../../../src/identity/callers/revocation-list.ts';
import { TokenAuthenticator } from '../../../src/identity/callers/token-authenticator.ts';
import { Introspector } from '../../../src/identity/jwt/introspection.ts';
import { type Issuer, resolveIssuers } from '../../../src/identity/jwt/issuer.ts';
import { KeySource } from '../../../src/identity/jwt/key-source.ts';
import { OpaqueTokens } from '../../../src/identity/jwt/opaque-tokens.ts';
import { ProofChecker } from '../../../src/identity/jwt/proof.ts';
import { type Documents, RemoteDocuments } from '../../../src/identity/jwt/remote-documents.ts';
import { TokenVerifier, type TrustedIssuer } from '../../../src/identity/jwt/token-verifier.ts';
import { type ManualClock, manualClock } from '../clock.ts';
import { makeKey, type SigningKey, startIssuer, type TestIssuer } from './test-issuer.ts';

export const AUDIENCE = 'https://api.example';
/** How long documents may take where a test is not about time, in milliseconds: a slow machine changes no outcome. */
export const PATIENCE_MS = 30_000;
export const PEP: Credential = {
  keyId: 'gateway',
  roles: new Set(['pep']),
  tenants: undefined,
  mayAssert: true,
};

export interface Scene {
  readonly clock: ManualClock;
  readonly issuer: TestIssuer;
  readonly key: SigningKey;
  readonly resolved: Issuer;
  readonly verifier: TokenVerifier;
  readonly revocations: RevocationList;
  readonly authenticator: TokenAuthenticator;
  readonly registry: MemoryRegistry;
  /** Causes of refusals, in order. */
  readonly causes: string[];
  /** Fetch failures that were reported, and recoveries as undefined. */
  readonly reports: (string | undefined)[];
  /** Claims of a good token. */
  claims(change?: Readonly<Record<string, unknown>>): Record<string, unknown>;
  authenticate(
    token: string,
    more?: Omit<Partial<PresentedToken>, 'token'>,
    facts?: Partial<CallerFacts>,
  ): Promise<CallerOutcome>;
  opaque(token: string, more?: Omit<Partial<PresentedOpaque>, 'token'>): Promise<CallerOutcome>;
  stop(): Promise<void>;
}

export interface SceneOptions {
  readonly settings?: Partial<IssuerSettingsInput>;
  readonly alg?: string;
  readonly secret?: string;
  readonly documents?: Documents;
}

/** `{issuer}` in the address of introspection becomes the issuer's own, which is known only when it runs. */
function atHome({ introspection, ...settings }: Partial<IssuerSettingsInput> = {}, { url }: TestIssuer) {
  if (introspection === undefined) return settings;
  return {
    ...settings,
    introspection: { ...introspection, url: introspection.url.replace('{issuer}', url) },
  };
}

/** Settings of an issuer on loopback. */
export function settingsFor(issuer: TestIssuer, change: Partial<IssuerSettingsInput> = {}) {
  return issuerSettingsSchema.parse({
    name: 'idp',
    issuer: issuer.url,
    audiences: [AUDIENCE],
    tenants: ['acme'],
    privateHosts: [issuer.host],
    ...change,
  });
}

export function resolveOne(settings: ReturnType<typeof settingsFor>): Issuer {
  const { issuers, problems } = resolveIssuers([settings]);
  const [issuer] = issuers.values();
  if (issuer === undefined || problems.length > 0)
    throw new Error(problems.map(one => one.message).join('; '));
  return issuer;
}

export async function startScene(options: SceneOptions = {}): Promise<Scene> {
  const clock = manualClock();
  const key = await makeKey(options.alg ?? 'ES256', 'k1');
  const issuer = await startIssuer([key.jwk]);
  const resolved = resolveOne(settingsFor(issuer, atHome(options.settings, issuer)));
  const reports: (string | undefined)[] = [];
  const documents = options.documents ?? new RemoteDocuments({ deadlineMs: PATIENCE_MS });
  const keys = new KeySource(resolved, documents, clock, (_, failure) => void reports.push(failure));
  const trusted = new Map<string, TrustedIssuer>([[resolved.issuer, { issuer: resolved, keys }]]);
  const verifier = new TokenVerifier(trusted, clock);
  const revocations = new RevocationList();
  const registry = new MemoryRegistry();
  const causes: string[] = [];
  const secrets = new Map(options.secret === undefined ? [] : [['idp', options.secret]]);
  const authenticator = new TokenAuthenticator({
    verifier,
    opaque: new OpaqueTokens([resolved], documents, clock, secrets),
    revocations,
    introspector: new Introspector(documents, clock, secrets),
    proofs: new ProofChecker(clock),
    enrolment: new Enrolment(registry, () => undefined),
    refused: cause => void causes.push(cause),
  });
  const now = () => Math.floor(clock.now() / 1000);
  return {
    clock,
    issuer,
    key,
    resolved,
    verifier,
    revocations,
    authenticator,
    registry,
    causes,
    reports,
    claims: (change = {}) => ({
      iss: issuer.url,
      sub: 'alice',
      aud: AUDIENCE,
      iat: now(),
      exp: now() + 600,
      jti: 'token-1',
      client_id: 'app',
      scope: 'model:invoke',
      ...change,
    }),
    authenticate: (token, more = {}, facts = {}) =>
      authenticator.authenticate({ kind: 'jwt', token, ...more }, { pep: PEP, claimed: undefined, ...facts }),
    opaque: (token, more = {}) =>
      authenticator.authenticate({ kind: 'opaque', token, ...more }, { pep: PEP, claimed: undefined }),
    stop: () => issuer.stop(),
  };
}

/** The cause of a refusal; a caller that came out fails the test by name. */
export function causeOf(outcome: CallerOutcome): string {
  return outcome.refusal?.cause ?? `accepted ${outcome.caller?.principal.id}`;
}

/** The directory as enrolment sees it. */
export class MemoryRegistry implements PrincipalRegistry {
  readonly principals = new Map<
    string,
    { roles: readonly string[]; attributes: JsonObject; issuer: string }
  >();
  /** Owner of every principal. */
  tenant = 'acme';
  failure: Error | undefined;
  /** What every change waits for. */
  gate: Promise<void> = Promise.resolve();
  creations = 0;

  find({ type, id }: { type: string; id: string }): { tenant: string } | undefined {
    return this.principals.has(`${type} ${id}`) ? { tenant: this.tenant } : undefined;
  }

  rolesOf({ type, id }: { type: string; id: string }): readonly string[] {
    return this.principals.get(`${type} ${id}`)?.roles ?? [];
  }

  async create(
    { type, id }: { type: string; id: string },
    roles: readonly string[],
    attributes: JsonObject,
    issuer: string,
  ): Promise<void> {
    this.creations += 1;
    await this.gate;
    if (this.failure !== undefined) throw this.failure;
    this.principals.set(`${type} ${id}`, { roles, attributes, issuer });
  }

  async setRoles(
    { type, id }: { type: string; id: string },
    roles: readonly string[],
    issuer: string,
  ): Promise<void> {
    await this.gate;
    const known = this.principals.get(`${type} ${id}`);
    if (known !== undefined) this.principals.set(`${type} ${id}`, { ...known, roles, issuer });
  }
}
