/**
 * Whom a trusted certificate stands for, as the operator wrote it. Invariants: a certificate that several rules match
 * stands for nobody; a forwarded one never makes its holder a proxy; a principal lies in its tenant.
 */
import type { AuthoritySettings, CertificateRule } from '../../domain/certificate-settings.ts';
import type { CertificatePrincipal, ClientCertificate } from '../../domain/client-certificate.ts';
import type { Credential } from '../../domain/credential.ts';
import type { Problem } from '../../domain/errors.ts';
import { ID_PATTERN } from '../../domain/ids.ts';
import { parseSpiffeId } from './spiffe-id.ts';
import { shownName, type TrustedCertificate } from './trust.ts';

/** What a certificate is worth here. */
export interface CertificateIdentity {
  readonly certificate: ClientCertificate;
  /** undefined: it opens nothing by itself. */
  readonly credential: Credential | undefined;
  /** Its holder may forward the certificates of others who ask. */
  readonly proxy: CertificateRule['proxy'];
}

export class CertificateRules {
  /** Whether there is a proxy at all: otherwise headers of proxies mean nothing here. */
  readonly hasProxies: boolean;
  readonly #rules = new Map<string, CertificateRule>();
  readonly #principals = new Map<string, NonNullable<AuthoritySettings['principals']>>();

  constructor(authorities: readonly AuthoritySettings[], rules: readonly CertificateRule[]) {
    this.hasProxies = rules.some(({ proxy }) => proxy !== undefined);
    for (const rule of rules) this.#rules.set(ruleKey(rule.authority, rule.match), rule);
    for (const { name, principals } of authorities) {
      if (principals !== undefined) this.#principals.set(name, principals);
    }
  }

  /**
   * @param forwardedBy name of the rule of the proxy that forwarded it; undefined: none did.
   * @returns undefined when rules contradict each other about it.
   */
  identify(trusted: TrustedCertificate, forwardedBy: string | undefined): CertificateIdentity | undefined {
    const matching = this.#matching(trusted);
    if (matching.length > 1) return undefined;
    const [rule] = matching;
    const isProxy = rule?.proxy !== undefined;
    const { certificate, authority } = trusted;
    const known: ClientCertificate = {
      thumbprint: certificate.thumbprint,
      authority: authority.name,
      subject: shownName(trusted),
      rule: rule?.name,
      forwardedBy,
      principal: isProxy ? undefined : this.#principalOf(trusted, rule),
      mayForward: rule?.credential?.mayForward ?? [],
    };
    const credential =
      rule?.credential === undefined ? undefined : credentialOf(rule.name, rule.credential, known);
    return { certificate: known, credential, proxy: forwardedBy === undefined ? rule?.proxy : undefined };
  }

  #matching({ certificate, authority, spiffeId }: TrustedCertificate): readonly CertificateRule[] {
    const { uris, dns } = certificate.names;
    const { subjectText } = certificate;
    const matches: CertificateRule['match'][] =
      spiffeId === undefined
        ? [
            // one URI, as with SPIFFE: of several nobody could say which one counts
            ...(uris.length === 1 ? uris.map(uri => ({ uri })) : []),
            ...new Set(dns.map(text => text.toLowerCase())).values().map(text => ({ dns: text })),
            ...(subjectText === undefined ? [] : [{ subject: subjectText }]),
          ]
        : [{ spiffe: spiffeId }];
    return matches.flatMap(match => this.#rules.get(ruleKey(authority.name, match)) ?? []);
  }

  #principalOf(
    { authority, spiffeId }: TrustedCertificate,
    rule: CertificateRule | undefined,
  ): CertificatePrincipal | undefined {
    if (rule?.principal !== undefined) {
      const { type, id, tenant, assurance, scopes } = rule.principal;
      return { entity: { type, id }, tenant, assurance, scopes };
    }
    const all = this.#principals.get(authority.name);
    if (all === undefined || spiffeId === undefined) return undefined;
    const { type, tenant, assurance, scopes } = all;
    const id = `${tenant}/${spiffeId.slice('spiffe://'.length)}`;
    return ID_PATTERN.test(id) ? { entity: { type, id }, tenant, assurance, scopes } : undefined;
  }
}

/** What settings contradict beyond what their schema says. */
export function ruleProblems(
  authorities: readonly AuthoritySettings[],
  rules: readonly CertificateRule[],
): readonly Problem[] {
  const byName = new Map(authorities.map(authority => [authority.name, authority]));
  return rules.flatMap(rule => {
    const authority = byName.get(rule.authority);
    const named = [...(rule.proxy?.authorities ?? []), ...(rule.credential?.mayForward ?? [])];
    const unknown = [rule.authority, ...named].filter(name => !byName.has(name));
    const problems = unknown.map(name => `there is no authority \`${name}\``);
    if (authority !== undefined) problems.push(...matchProblems(rule.match, authority));
    const { principal } = rule;
    if (principal !== undefined && !principal.id.startsWith(`${principal.tenant}/`)) {
      problems.push(`the principal must lie in its tenant: its id must begin with \`${principal.tenant}/\``);
    }
    return problems.map(message => ({ message: `certificate rule \`${rule.name}\`: ${message}` }));
  });
}

function matchProblems(match: CertificateRule['match'], { name, trustDomain }: AuthoritySettings): string[] {
  if (!('spiffe' in match)) {
    if (trustDomain === undefined) return [];
    return [
      `authority \`${name}\` has the trust domain \`${trustDomain}\`: match its certificates by \`spiffe\``,
    ];
  }
  const id = parseSpiffeId(match.spiffe);
  if (id === undefined) return [`\`${match.spiffe}\` is no SPIFFE id of a workload`];
  return id.trustDomain === trustDomain
    ? []
    : [`authority \`${name}\` has another trust domain than \`${match.spiffe}\``];
}

function credentialOf(
  name: string,
  { roles, tenants, mayAssert, callers }: NonNullable<CertificateRule['credential']>,
  certificate: ClientCertificate,
): Credential {
  return {
    keyId: `certificate:${name}`,
    roles: new Set(roles),
    tenants: tenants === undefined ? undefined : new Set(tenants),
    mayAssert,
    ...(callers === undefined ? {} : { callers }),
    certificate,
  };
}

function ruleKey(authority: string, match: CertificateRule['match']): string {
  return `${authority} ${JSON.stringify(match)}`;
}
