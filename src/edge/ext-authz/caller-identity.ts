/**
 * Who the client is, as the profile lets its gateway tell. Invariants: nobody is named by default; a gateway is
 * held to the rules of its key as on POST /decide; a token that is not accepted names nobody.
 */
import { isIP } from 'node:net';
import type { CallerAuthentication } from '../../domain/caller-authentication.ts';
import type { Credential } from '../../domain/credential.ts';
import type { DecisionRequest } from '../../domain/decision-request.ts';
import { ID_PATTERN } from '../../domain/ids.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';
import {
  CALLER_KEY_START,
  type PresentedCertificate,
  presentedBearer,
} from '../../domain/presented-credential.ts';
import { readForwarded } from '../../identity/certificates/forwarded-certificate.ts';
import { writePem } from '../../identity/certificates/pem.ts';
import type { Refusal } from '../../pdp/engine.ts';
import type { HeaderList } from '../ai-requests/header-list.ts';
import { checkAssertion, type Intake, verifyCaller } from '../http/caller-intake.ts';
import { plainAddress } from '../http/client-address.ts';
import type { Services } from '../http/services.ts';
import { deny } from './request-denied.ts';

/** The part of a decision request that is about the caller. */
export type Caller = Pick<
  DecisionRequest,
  'principal' | 'tenant' | 'onBehalfOf' | 'auth' | 'via' | 'context'
>;

export type IdentityServices = Pick<Services, 'callers' | 'callerRules' | 'directory'>;

/** Who was named or proven, and why that does not suffice, when it does not. */
export interface Identified {
  readonly caller: Caller;
  readonly authentication?: CallerAuthentication;
  readonly refusal?: Refusal;
}

type Asserted = Extract<PepProfile['identity'], { mode: 'assert' }>;

/** Fills the places of a request that identification does not look at. */
const NO_REQUEST = { action: '?', resource: { type: '?', id: '?' }, explain: 'none' } as const;
const NOBODY = { type: '?', id: '?' } as const;

/** What the gateway tells of the caller in other places than headers. */
export interface NamedCaller {
  /** undefined: the headers name the principal, where the gateway names one. */
  readonly principal: string | undefined;
  /** SHA-256 of the client's certificate in hex, for tokens that are bound to one. */
  readonly certificate?: string | undefined;
}

/**
 * @throws RequestDenied, AppError ASSERTION_NOT_ALLOWED
 */
export async function identifyCaller(
  profile: PepProfile,
  headers: HeaderList,
  pep: Credential,
  services: IdentityServices,
  named: NamedCaller,
): Promise<Identified> {
  const { identity } = profile;
  const context = contextOf(profile, headers);
  if (identity.mode === 'none') deny('UNAUTHENTICATED', 'this gateway may not name any caller');
  if (identity.mode === 'assert') {
    const caller = { ...asserted(identity, headers, pep, named.principal), ...context };
    const rules = pep.callers ?? services.callerRules;
    const intake =
      rules === undefined ? undefined : checkAssertion(services, { ...NO_REQUEST, ...caller }, rules);
    return intake === undefined ? { caller } : identifiedOf(intake, context);
  }
  const request = { ...NO_REQUEST, principal: NOBODY, ...context };
  if (identity.mode === 'certificate') {
    const presented = presentedCertificate(identity, headers);
    return identifiedOf(await verifyCaller(services, presented, undefined, request, pep), context);
  }
  const [value = ''] = headers.all(identity.header);
  const text = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(value)?.[1] ?? bareKey(value);
  if (text === undefined) deny('UNAUTHENTICATED', 'the request has no credential of the caller');
  const credential = presentedBearer(text, named.certificate);
  return identifiedOf(await verifyCaller(services, credential, undefined, request, pep), context);
}

/** The certificate of the client in the headers of the gateway, for verification to judge. */
function presentedCertificate(
  { format, hops }: Extract<PepProfile['identity'], { mode: 'certificate' }>,
  headers: HeaderList,
): PresentedCertificate {
  const forwarded = readForwarded(format, hops, name => headers.all(name));
  if (forwarded === undefined) deny('UNAUTHENTICATED', 'the request has no certificate of the caller');
  const chain = forwarded.cause === undefined ? [forwarded.leaf, ...forwarded.extra] : [];
  // of headers that cannot be read nothing is left, which verification refuses
  return { kind: 'mtls', certificate: chain.map(({ der }) => writePem(der)).join('') };
}

/** A key as headers such as `x-api-key` hold it, without a scheme. */
function bareKey(value: string): string | undefined {
  return value.startsWith(CALLER_KEY_START) ? value : undefined;
}

function identifiedOf(
  { request, authentication, refusal }: Intake,
  context: Pick<Caller, 'context'>,
): Identified {
  const { principal, tenant, onBehalfOf, auth, via } = request;
  return {
    caller: {
      principal,
      ...(tenant === undefined ? {} : { tenant }),
      ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
      ...(auth === undefined ? {} : { auth }),
      ...(via === undefined ? {} : { via }),
      ...context,
    },
    authentication,
    ...(refusal === undefined ? {} : { refusal }),
  };
}

function asserted(
  identity: Asserted,
  headers: HeaderList,
  { mayAssert }: Credential,
  named: string | undefined,
): Caller {
  const name = named ?? headers.all(identity.principal)[0] ?? '';
  if (name === '') deny('UNAUTHENTICATED', 'the gateway names no caller');
  const id = identity.principalPrefix + name;
  if (!ID_PATTERN.test(id)) deny('UNAUTHENTICATED', 'the name of the caller is no id');
  const tenant = idAt(headers, identity.tenant);
  const onBehalfOf = idAt(headers, identity.onBehalfOf);
  const { method, assurance } = identity;
  return {
    principal: { type: identity.principalType, id },
    ...(tenant === undefined ? {} : { tenant }),
    ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
    ...(mayAssert ? { auth: { method, assurance, scopes: [] } } : {}),
  };
}

function contextOf(profile: PepProfile, headers: HeaderList): Pick<Caller, 'context'> {
  const ip = addressAt(headers, profile.ip);
  const region = valueAt(headers, profile.region);
  if (region !== undefined && !ID_PATTERN.test(region)) deny('INPUT_REJECTED', 'the region is no name');
  const context = {
    ...(ip === undefined ? {} : { ip }),
    ...(region === undefined ? {} : { region }),
    ...(profile.env === undefined ? {} : { env: profile.env }),
  };
  return Object.keys(context).length === 0 ? {} : { context };
}

/** As policies read it; proxies that listen for both versions write IPv4 addresses in IPv6 (`::ffff:192.0.2.1`). */
function addressAt(headers: HeaderList, name: string | undefined): string | undefined {
  const value = valueAt(headers, name);
  if (value === undefined) return undefined;
  const address = plainAddress(value);
  const version = isIP(address);
  // Cedar reads no other address with an IPv4 address in it
  if (version === 0 || (version === 6 && address.includes('.'))) {
    deny('INPUT_REJECTED', 'the address of the client is no address');
  }
  return address;
}

function idAt(headers: HeaderList, name: string | undefined): string | undefined {
  const value = valueAt(headers, name);
  if (value !== undefined && !ID_PATTERN.test(value)) {
    deny('INPUT_REJECTED', `\`${name}\` of the gateway is no id`);
  }
  return value;
}

/** The value of a trusted header, which stands at most once; undefined when it is absent or empty. */
function valueAt(headers: HeaderList, name: string | undefined): string | undefined {
  const value = name === undefined ? undefined : headers.all(name)[0];
  return value === '' ? undefined : value;
}
