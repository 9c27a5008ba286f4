/**
 * What the owner of a key may do with it, through a gateway that forwards the owner's own credential. Invariants: only
 * a credential that was verified here speaks for its owner; a key speaks for itself alone, so that a narrow one never
 * turns into a wide one; an agent that acts for the owner speaks for none.
 */
import { z } from 'zod';
import type { SelfService } from '../../domain/caller-key.ts';
import type { Credential } from '../../domain/credential.ts';
import { AppError } from '../../domain/errors.ts';
import type { EntityRef } from '../../domain/ids.ts';
import { presentedCredentialSchema } from '../../domain/presented-credential.ts';
import { mayActFor } from '../../identity/authority.ts';
import { ownMaker } from '../../identity/caller-keys/key-lineage.ts';
import type { KeyActor } from '../../identity/caller-keys/key-service.ts';
import { allowsAddress } from '../../pdp/narrowing.ts';
import { type Route, route } from '../http/route.ts';
import type { Services } from '../http/services.ts';
import { callerKeySchema, madeAnswer, madeCallerKeySchema, rotationShape, wire } from './caller-keys.ts';

/** Most keys that an owner is shown. */
const MAX_SHOWN = 1_000;
const FAILURES = ['CALLER_NOT_ACCEPTED', 'TOO_MANY_FAILED_AUTHENTICATIONS', 'TENANT_NOT_ALLOWED'] as const;
const REASON = 'by its owner';

const callerShape = {
  credential: presentedCredentialSchema,
  ip: z.string().max(64).optional().meta({ description: 'address of the caller, for keys with networks' }),
};
const id = z.string().regex(/^[0-9A-Za-z]{1,64}$/, 'must be the id of a key');

type Caller = z.output<z.ZodObject<typeof callerShape>>;

/** An owner who was proven. */
interface Owner {
  readonly principal: EntityRef;
  readonly tenant: string | undefined;
  /** The key that proved it; undefined: a token did. */
  readonly keyId: string | undefined;
}

export function callerKeySelfRoutes(): readonly Route[] {
  return [listOwn(), rotateOwn(), revokeOwn()];
}

function listOwn(): Route {
  return route({
    method: 'POST',
    path: '/v1/self/caller-keys/list',
    operation: 'listOwnCallerKeys',
    tag: 'caller keys',
    summary: 'The keys of the caller whose credential is forwarded; a key shows itself alone',
    access: 'pep',
    body: { kind: 'json', schema: z.strictObject(callerShape).meta({ id: 'OwnKeysRequest' }) },
    keepsNothing: true,
    answers: {
      200: {
        description: 'the keys, newest first',
        schema: z.strictObject({ items: z.array(callerKeySchema) }).meta({ id: 'OwnKeys' }),
      },
    },
    failures: FAILURES,
    async handle({ services, credential, body }) {
      const owner = await authenticate(services, 'list', body, credential);
      const { items } = services.callerKeys.list(
        { owner: owner.principal },
        actorOf(owner, credential),
        MAX_SHOWN,
      );
      return {
        status: 200,
        json: { items: items.filter(({ record }) => mayTouch(owner, record.id)).map(wire) },
      };
    },
  });
}

function rotateOwn(): Route {
  const schema = z.strictObject({ ...callerShape, id, ...rotationShape }).meta({ id: 'OwnKeyRotation' });
  return route({
    method: 'POST',
    path: '/v1/self/caller-keys/rotate',
    operation: 'rotateOwnCallerKey',
    tag: 'caller keys',
    summary: 'Make a successor of an own key, which may do the same',
    access: 'pep',
    body: { kind: 'json', schema },
    keepsNothing: true,
    answers: { 201: { description: 'the new key', schema: madeCallerKeySchema } },
    failures: [...FAILURES, 'NOT_FOUND', 'ALREADY_EXISTS', 'STORE_UNAVAILABLE'],
    async handle({ services, credential, body: { overlapSeconds, expiresAt, ...body } }) {
      const owner = await authenticate(services, 'rotate', body, credential);
      requireOwn(services, owner, body.id);
      const by = owner.keyId === undefined ? credential.keyId : ownMaker(owner.keyId);
      const request = { overlapSeconds, expiresAt };
      return madeAnswer(await services.callerKeys.rotate(body.id, request, actorOf(owner, credential), by));
    },
  });
}

function revokeOwn(): Route {
  const schema = z.strictObject({ ...callerShape, id }).meta({ id: 'OwnKeyRevocation' });
  return route({
    method: 'POST',
    path: '/v1/self/caller-keys/revoke',
    operation: 'revokeOwnCallerKey',
    tag: 'caller keys',
    summary: 'Revoke an own key at once',
    access: 'pep',
    body: { kind: 'json', schema },
    keepsNothing: true,
    answers: { 204: { description: 'the key is revoked' } },
    failures: [...FAILURES, 'NOT_FOUND', 'STORE_UNAVAILABLE'],
    async handle({ services, credential, body }) {
      const owner = await authenticate(services, 'revoke', body, credential);
      requireOwn(services, owner, body.id);
      await services.callerKeys.revoke(body.id, REASON, actorOf(owner, credential));
      return { status: 204 };
    },
  });
}

/** @throws AppError CALLER_NOT_ACCEPTED, TENANT_NOT_ALLOWED */
async function authenticate(
  { callers, callerKeys }: Services,
  operation: SelfService,
  { credential, ip }: Caller,
  pep: Credential,
): Promise<Owner> {
  if (!callerKeys.policy.selfService.has(operation)) {
    throw new AppError('CALLER_NOT_ACCEPTED', `owners may not ${operation} their keys here`);
  }
  const { caller, refusal } = await callers.authenticate(credential, {
    pep,
    claimed: undefined,
    address: ip,
  });
  if (refusal !== undefined) throw new AppError('CALLER_NOT_ACCEPTED', refusal.message);
  const { principal, tenant, via, narrowing, auth } = caller;
  if (via !== undefined) {
    throw new AppError('CALLER_NOT_ACCEPTED', 'an agent may not manage the keys of the caller it acts for');
  }
  if (!allowsAddress(narrowing?.networks ?? [], ip)) {
    throw new AppError('CALLER_NOT_ACCEPTED', 'the credential of the caller does not reach this far');
  }
  if (!mayActFor(pep, tenant)) {
    throw new AppError('TENANT_NOT_ALLOWED', 'this key may not act for the tenant of the caller');
  }
  return { principal, tenant, keyId: auth.method === 'api_key' ? auth.keyId : undefined };
}

/** The owner through the gateway: of one tenant alone. */
function actorOf({ tenant }: Owner, pep: Credential): KeyActor {
  return { keyId: pep.keyId, tenants: tenant === undefined ? pep.tenants : new Set([tenant]) };
}

function mayTouch({ keyId }: Owner, id: string): boolean {
  return keyId === undefined || keyId === id;
}

/** @throws AppError NOT_FOUND for the keys of others, as for those that are not there */
function requireOwn({ callerKeys }: Services, owner: Owner, id: string): void {
  const { type, id: name } = callerKeys.find(id)?.key.owner ?? {};
  if (type === owner.principal.type && name === owner.principal.id && mayTouch(owner, id)) return;
  throw new AppError('NOT_FOUND', `the caller has no key \`${id}\``);
}
