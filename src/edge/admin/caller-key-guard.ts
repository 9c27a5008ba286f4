/**
 * What policies of the control plane say about one key of a caller. Invariant: a key of a foreign tenant is missing before
 * a policy is asked about it, so that no answer tells it from one that is not there.
 */
import type { CallerKeyRecord } from '../../domain/caller-key.ts';
import type { Credential } from '../../domain/credential.ts';
import { mayActFor } from '../../identity/authority.ts';
import type { ListedCallerKey } from '../../identity/caller-keys/key-listing.ts';
import type { Services } from '../http/services.ts';
import { invalidRequest, MAX_PROBLEMS } from '../http/validation.ts';

type Keeping = Pick<Services, 'callerKeys' | 'control' | 'directory'>;

/** The key, when policies let the credential do this with it. @throws AppError NOT_FOUND, ROLE_REQUIRED */
export function requireOneKey(
  { callerKeys, control }: Keeping,
  credential: Credential,
  operation: string,
  id: string,
): ListedCallerKey {
  // a foreign key is missing, before a policy is asked
  const listed = callerKeys.get(id, credential);
  const { owner, tenant, oauthScopes, scopes, networks, expiresAt } = listed.record;
  const isNarrowed = scopes.length + networks.length > 0;
  const key = { id, owner, tenant, oauthScopes, isNarrowed, expiresAt };
  control.require({ credential, operation, object: { kind: 'callerKey', key } });
  return listed;
}

/** Asks policies about a key that is to be made. A foreign owner is told by the service, like a missing one. */
export function requireNewKey(
  { control, directory }: Keeping,
  credential: Credential,
  {
    owner,
    oauthScopes,
    scopes,
    networks,
    expiresAt,
  }: Pick<CallerKeyRecord, 'owner' | 'oauthScopes' | 'scopes' | 'networks' | 'expiresAt'>,
): void {
  const tenant = directory.ownerOf(owner);
  if (!mayActFor(credential, tenant)) return;
  const isNarrowed = scopes.length + networks.length > 0;
  const key = { owner, tenant, oauthScopes, isNarrowed, expiresAt };
  control.require({ credential, operation: 'createCallerKey', object: { kind: 'callerKey', key } });
}

/**
 * A scope that names no action of the active schema reaches nothing, and nobody would see why: it is told to whoever makes
 * the key. Successors are not asked about, since a schema that dropped an action must not hold up a rotation.
 * @throws AppError INVALID_REQUEST, NOT_READY
 */
export function requireKnownActions(
  { actions }: Pick<Services, 'actions'>,
  scopes: CallerKeyRecord['scopes'],
): void {
  const named = scopes.flatMap((scope, at) =>
    (scope.actions ?? []).map((name, position) => ({ name, pointer: `/scopes/${at}/actions/${position}` })),
  );
  const problems = actions.objectTo(named);
  if (problems.length > 0) throw invalidRequest(problems.slice(0, MAX_PROBLEMS));
}
