/**
 * What the tokens of well-known issuers look like, so that an operator configures only what is their own.
 * Invariant: a preset widens nothing silently: lifetimes and types are those that the issuer's documents state,
 * and where an issuer speaks for strangers too, the operator must pin whom they mean.
 */
import type {
  IssuerPreset,
  IssuerSettings,
  ListMapping,
  Requirement,
  ValueMapping,
} from '../../domain/issuer-settings.ts';
import type { SignatureAlgorithm } from '../../domain/issuer-settings.ts';

/** What a preset fills in. */
export interface PresetParts {
  readonly issuer?: string;
  readonly algorithms: readonly SignatureAlgorithm[];
  /** Empty: the issuer sets no type of its own. */
  readonly typ: readonly string[];
  readonly maxLifetimeSeconds: number;
  /** The text that names a subject within the issuer. */
  readonly subject: ValueMapping;
  readonly type: string;
  readonly client: ValueMapping;
  readonly roles: ListMapping;
  readonly scopes: ListMapping;
  readonly require: readonly Requirement[];
  /** What tokens of the preset's `typ` must hold; an operator who configures another `typ` is not held to it. */
  readonly profile: readonly Requirement[];
  readonly keyHosts: readonly string[];
  /** Says what is wrong with the operator's part; undefined: nothing. */
  readonly objection: (settings: IssuerSettings) => string | undefined;
}

const HOUR = 3600;
const NO_OBJECTION = (): undefined => undefined;
const SUBJECT: ValueMapping = { claim: 'sub' };
const SCOPE: ListMapping = [{ claim: 'scope', split: ' ' }];
const CLIENT: ValueMapping = { first: [{ claim: 'client_id' }, { claim: 'azp' }] };

const STANDARD: PresetParts = {
  algorithms: ['ES256', 'ES384', 'EdDSA', 'RS256', 'PS256'],
  typ: ['at+jwt', 'application/at+jwt'],
  maxLifetimeSeconds: 900,
  subject: SUBJECT,
  type: 'User',
  client: CLIENT,
  roles: [],
  scopes: SCOPE,
  require: [],
  profile: [],
  keyHosts: [],
  objection: NO_OBJECTION,
};

/** An issuer that follows RFC 9068, §2.2 of which makes these claims obligatory. */
const RFC_9068: PresetParts = {
  ...STANDARD,
  profile: [
    { claim: 'client_id', present: true },
    { claim: 'jti', present: true },
  ],
};

/** Projected service-account tokens; `sub` is `system:serviceaccount:<namespace>:<name>`. */
const KUBERNETES: PresetParts = {
  ...STANDARD,
  algorithms: ['RS256', 'ES256', 'ES384', 'ES512'],
  typ: [],
  maxLifetimeSeconds: HOUR,
  subject: { claim: 'sub', steps: [{ dropPrefix: 'system:serviceaccount:' }] },
  type: 'Service',
  // bound tokens name their namespace; the old tokens of secrets have neither this claim nor an end
  require: [{ claim: ['kubernetes.io', 'namespace'], present: true }],
};

/** Tokens of STS GetWebIdentityToken; `sub` is the ARN of the role, the issuer belongs to one account. */
const AWS: PresetParts = {
  ...STANDARD,
  algorithms: ['ES384', 'RS256'],
  typ: [],
  maxLifetimeSeconds: HOUR,
  type: 'Service',
  objection: ({ issuer }) =>
    issuer === undefined ? 'needs `issuer`: the account-specific URL that IAM shows' : undefined,
};

/** Identity tokens of service accounts from the metadata server. */
const GOOGLE: PresetParts = {
  ...STANDARD,
  issuer: 'https://accounts.google.com',
  algorithms: ['RS256'],
  typ: ['JWT'],
  maxLifetimeSeconds: HOUR,
  type: 'Service',
  client: { claim: 'azp' },
  scopes: [],
  keyHosts: ['www.googleapis.com'],
  objection: ({ subjects, require }) =>
    subjects !== undefined || require.some(isPin)
      ? undefined
      : 'needs `subjects`, or `require` with `hd` or `email`: every customer of this issuer gets tokens for any audience',
};

/** Access tokens of one Entra ID tenant. */
const AZURE: PresetParts = {
  ...STANDARD,
  algorithms: ['RS256'],
  typ: ['JWT', 'at+jwt'],
  // 60 to 90 minutes by default
  maxLifetimeSeconds: 5400,
  subject: { claim: 'oid' },
  client: { first: [{ claim: 'azp' }, { claim: 'appid' }] },
  roles: [{ claim: 'roles' }],
  scopes: [{ claim: 'scp', split: ' ' }],
  require: [
    { claim: 'oid', present: true },
    { claim: 'tid', present: true },
  ],
  keyHosts: ['login.microsoftonline.com'],
  objection: ({ issuer }) =>
    issuer !== undefined && azureTenant(issuer) !== undefined
      ? undefined
      : 'needs the `issuer` of one tenant, such as `https://login.microsoftonline.com/<tenant id>/v2.0`',
};

/** Access tokens of the RFC 9068 profile; `permissions` are those of role-based access control. */
const AUTH0: PresetParts = {
  ...STANDARD,
  algorithms: ['RS256', 'PS256'],
  typ: ['at+jwt', 'JWT'],
  maxLifetimeSeconds: HOUR,
  scopes: [...SCOPE, { claim: 'permissions' }],
};

/** Access tokens of a realm. ID and refresh tokens of Keycloak say what they are in the claim `typ`. */
const KEYCLOAK: PresetParts = {
  ...STANDARD,
  typ: ['JWT', 'at+jwt'],
  roles: [{ claim: ['realm_access', 'roles'] }],
  require: [{ claim: 'typ', oneOf: ['Bearer', 'DPoP'] }],
};

/** Access tokens of a custom authorization server; only they have `cid`. */
const OKTA: PresetParts = {
  ...STANDARD,
  algorithms: ['RS256'],
  typ: [],
  maxLifetimeSeconds: HOUR,
  client: { claim: 'cid' },
  roles: [{ claim: 'groups' }],
  scopes: [{ claim: 'scp', split: ' ' }],
  require: [{ claim: 'cid', present: true }],
};

const PRESETS: Readonly<Record<IssuerPreset, PresetParts>> = {
  kubernetes: KUBERNETES,
  aws: AWS,
  google: GOOGLE,
  azure: AZURE,
  auth0: AUTH0,
  keycloak: KEYCLOAK,
  okta: OKTA,
};

/** The parts of a preset; without one those of RFC 9068. */
export function partsOf(preset: IssuerPreset | undefined, issuer: string | undefined): PresetParts {
  const parts = preset === undefined ? RFC_9068 : PRESETS[preset];
  const tid = preset === 'azure' && issuer !== undefined ? azureTenant(issuer) : undefined;
  return tid === undefined ? parts : { ...parts, require: [...parts.require, { claim: 'tid', equals: tid }] };
}

/** The tenant id in the issuer of Entra ID; undefined for `common` and its like, which speak for everybody. */
function azureTenant(issuer: string): string | undefined {
  const id =
    /^https:\/\/(?:login\.microsoftonline\.com|sts\.windows\.net)\/([0-9a-f-]{36})\/(?:v2\.0)?$/.exec(
      issuer,
    )?.[1];
  return id;
}

function isPin(requirement: Requirement): boolean {
  const { claim } = requirement;
  return !('present' in requirement) && (claim === 'hd' || claim === 'email');
}
