/**
 * Issuers ready for use: settings joined with their preset and checked against each other. Invariant: an issuer
 * that could speak for strangers, or whose subjects could be taken for another issuer's, is refused at the start.
 */
import type { Problem } from '../../domain/errors.ts';
import type {
  AssuranceMapping,
  IssuerSettings,
  ListMapping,
  Requirement,
  SignatureAlgorithm,
  ValueMapping,
} from '../../domain/issuer-settings.ts';
import { claimsOf } from './claim-mapping.ts';
import { checkUrl, hostRules, type HostRules } from './host-rules.ts';
import { partsOf, type PresetParts } from './presets.ts';

/** One issuer with nothing left open. */
export interface Issuer {
  readonly name: string;
  /** Names of the other issuers: their subjects' ids are not to be had by a mapping. */
  readonly otherNames: ReadonlySet<string>;
  /** Exact `iss`. */
  readonly issuer: string;
  readonly audiences: ReadonlySet<string>;
  readonly algorithms: ReadonlySet<string>;
  /** Lower case, without `application/`; undefined: any. */
  readonly typ: ReadonlySet<string> | undefined;
  readonly maxLifetimeSeconds: number;
  readonly clockToleranceSeconds: number;
  readonly tenants: ReadonlySet<string>;
  readonly subjects: ReadonlySet<string> | undefined;
  readonly require: readonly Requirement[];
  /** What signed tokens have to hold beside: the profile of their `typ`. */
  readonly profile: readonly Requirement[];
  readonly requiredScopes: readonly string[];
  readonly bindingRequired: boolean;
  readonly principalTypes: ReadonlySet<string>;
  readonly mapping: ClaimsMapping;
  readonly delegation: IssuerSettings['delegation'];
  readonly justInTime: IssuerSettings['justInTime'];
  readonly introspection: IssuerSettings['introspection'];
  /** undefined: by discovery. */
  readonly jwksUri: string | undefined;
  readonly hosts: HostRules;
  readonly staleKeysMs: number;
}

export interface ClaimsMapping {
  readonly type: ValueMapping;
  /** undefined: `<tenant>/<issuer name>:<subject>`. */
  readonly id: ValueMapping | undefined;
  readonly subject: ValueMapping;
  /** undefined: the only tenant. */
  readonly tenant: ValueMapping | undefined;
  readonly client: ValueMapping;
  readonly roles: ListMapping;
  readonly scopes: ListMapping;
  readonly assurance: AssuranceMapping;
}

/** Issuers by their exact `iss`, and everything that is wrong with the settings. */
export interface ResolvedIssuers {
  readonly issuers: ReadonlyMap<string, Issuer>;
  readonly problems: readonly Problem[];
}

/** Joins settings with presets and checks all of them. */
export function resolveIssuers(settings: readonly IssuerSettings[]): ResolvedIssuers {
  const issuers = new Map<string, Issuer>();
  const problems: Problem[] = [];
  const names = new Set<string>();
  for (const one of settings) {
    const report = (message: string): void => {
      problems.push({ message: `issuer \`${one.name}\`: ${message}` });
    };
    const parts = partsOf(one.preset, one.issuer);
    if (names.has(one.name)) report('another issuer has this name');
    names.add(one.name);
    const issuer = one.issuer ?? parts.issuer;
    if (issuer === undefined) {
      report(parts.objection(one) ?? 'needs `issuer`, the exact `iss` of its tokens');
      continue;
    }
    if (issuers.has(issuer)) report('another issuer has the same `iss`');
    const otherNames = new Set(settings.map(({ name }) => name).filter(name => name !== one.name));
    const resolved = join(one, parts, issuer, otherNames);
    for (const message of objections(one, parts, resolved)) report(message);
    issuers.set(issuer, resolved);
  }
  for (const message of sharedIds(settings)) problems.push({ message });
  return { issuers, problems };
}

function join(
  settings: IssuerSettings,
  parts: PresetParts,
  issuer: string,
  otherNames: ReadonlySet<string>,
): Issuer {
  const typ = settings.typ ?? parts.typ;
  return {
    name: settings.name,
    otherNames,
    issuer,
    audiences: new Set(settings.audiences),
    algorithms: new Set<SignatureAlgorithm>(settings.algorithms ?? parts.algorithms),
    typ: typ.length === 0 ? undefined : new Set(typ.map(plainType)),
    maxLifetimeSeconds: settings.maxLifetimeSeconds ?? parts.maxLifetimeSeconds,
    clockToleranceSeconds: settings.clockToleranceSeconds,
    tenants: new Set(settings.tenants),
    subjects: settings.subjects === undefined ? undefined : new Set(settings.subjects),
    require: [...parts.require, ...settings.require],
    profile: settings.typ === undefined ? parts.profile : [],
    requiredScopes: settings.requiredScopes,
    bindingRequired: settings.binding === 'required',
    principalTypes: new Set(settings.principalTypes ?? [parts.type]),
    mapping: {
      type: settings.type ?? { value: settings.principalTypes?.[0] ?? parts.type },
      id: settings.id,
      subject: parts.subject,
      tenant: settings.tenant,
      client: settings.client ?? parts.client,
      roles: settings.roles ?? parts.roles,
      scopes: settings.scopes ?? parts.scopes,
      assurance: settings.assurance,
    },
    delegation: settings.delegation,
    justInTime: settings.justInTime,
    introspection: settings.introspection,
    jwksUri: settings.jwksUri,
    hosts: hostRules(issuer, [...parts.keyHosts, ...settings.keyHosts], settings.privateHosts),
    staleKeysMs: settings.staleKeysHours * 3_600_000,
  };
}

/** A media type as it may stand in `typ`: RFC 7515 §4.1.9 lets the prefix be left out, and case does not count. */
export function plainType(typ: string): string {
  const lower = typ.toLowerCase();
  return lower.startsWith('application/') ? lower.slice('application/'.length) : lower;
}

function objections(settings: IssuerSettings, parts: PresetParts, issuer: Issuer): string[] {
  const found: (string | undefined)[] = [
    parts.objection(settings),
    // a fixed key address needs no document of the issuer, whose name then need not be an address
    issuer.jwksUri === undefined ? checkUrl(issuer.issuer, issuer.hosts, '`issuer`') : undefined,
    issuer.jwksUri === undefined ? undefined : checkUrl(issuer.jwksUri, issuer.hosts, '`jwksUri`'),
    issuer.introspection === undefined
      ? undefined
      : checkUrl(issuer.introspection.url, issuer.hosts, '`introspection.url`'),
    issuer.mapping.tenant === undefined && issuer.tenants.size > 1
      ? 'speaks for several tenants: needs `tenant`, which tells them apart'
      : undefined,
    needsVerifiedEmail(issuer)
      ? 'maps `email` to an id: needs `require` with `email_verified` equal to true, or another claim'
      : undefined,
  ];
  return found.filter(message => message !== undefined);
}

function needsVerifiedEmail({ mapping, require }: Issuer): boolean {
  if (mapping.id === undefined || !claimsOf(mapping.id).includes('email')) return false;
  return !require.some(
    one =>
      one.claim === 'email_verified' && 'equals' in one && (one.equals === true || one.equals === 'true'),
  );
}

/** Two issuers of one tenant with ids of their own making could name the same principal. */
function sharedIds(settings: readonly IssuerSettings[]): string[] {
  const custom = settings.filter(({ id, sharesIds }) => id !== undefined && !sharesIds);
  const found: string[] = [];
  for (const one of settings) {
    for (const other of custom) {
      const together = one.name !== other.name && one.id !== undefined;
      const tenant = together ? one.tenants.find(id => other.tenants.includes(id)) : undefined;
      if (tenant === undefined) continue;
      found.push(
        `issuers \`${other.name}\` and \`${one.name}\` both map to ids of tenant \`${tenant}\`: leave out \`id\`, ` +
          'or set `sharesIds` where the same id means the same principal',
      );
    }
  }
  return found;
}
