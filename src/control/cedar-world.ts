/**
 * Questions as Cedar sees them: schema/control-plane.cedarschema in values. Invariant: every attribute that the
 * schema requires is there, so that a policy that was validated cannot miss one.
 */
import { EMPTY_RECORD, makeSet } from '../cedar/equality.ts';
import type { EvaluationRequest } from '../cedar/types.ts';
import type { CallerRules } from '../domain/caller-rules.ts';
import type { Credential, Role } from '../domain/credential.ts';
import { DatetimeValue, type Entity, EntityUid, RecordValue, type Value } from '../domain/value.ts';
import type { CallerKeyFacts, ControlObject, ControlQuestion, KeyFacts, ProfileFacts } from './question.ts';

/** Namespace of everything that these policies speak of: no policy of a layer can name it. */
const CONTROL_NAMESPACE = 'Duramen';

const SERVICE_ID = 'duramen';
/** Id of a key that is being made: no key has it, since ids of keys have 16 characters. */
const NEW_KEY_ID = 'new';

/** Makes requests. It remembers what a credential looks like for as long as the credential is around. */
export class ControlWorld {
  readonly #credentials = new WeakMap<Credential, Entity>();

  /** @param now milliseconds since the epoch */
  request(question: ControlQuestion, now: number): EvaluationRequest {
    const { credential, operation, object, pushedBy } = question;
    const principal = this.#credential(credential);
    const resource = objectEntity(object);
    const context = new Map<string, Value>([['now', new DatetimeValue(now)]]);
    if (pushedBy !== undefined) context.set('pushedBy', uid('Credential', pushedBy));
    return {
      principal: principal.uid,
      action: actionUid(operation),
      resource: resource.uid,
      context: new RecordValue(context),
      entities: {
        get: key => (key === principal.uid.key ? principal : key === resource.uid.key ? resource : undefined),
      },
    };
  }

  #credential(credential: Credential): Entity {
    let entity = this.#credentials.get(credential);
    if (entity === undefined) {
      entity = credentialEntity(credential);
      this.#credentials.set(credential, entity);
    }
    return entity;
  }
}

export function actionUid(operation: string): EntityUid {
  return uid('Action', operation);
}

function credentialEntity(credential: Credential): Entity {
  const { keyId, roles, tenants, mayAssert, callers, expiresAt, breakGlass } = credential;
  return {
    uid: uid('Credential', keyId),
    attributes: new RecordValue(
      new Map<string, Value>([
        ...tenancy(tenants),
        ...rights({ roles, mayAssert, callers, breakGlass }),
        ...(expiresAt === undefined ? [] : [['expires', new DatetimeValue(expiresAt)] as const]),
      ]),
    ),
    tags: EMPTY_RECORD,
    ancestors: new Set([...roles].map(role => roleUid(role).key)),
  };
}

function objectEntity(object: ControlObject): Entity {
  switch (object.kind) {
    case 'service':
      return entity('Service', SERVICE_ID, []);
    case 'layer': {
      const { layer } = object;
      return entity(
        'Layer',
        layer,
        tenancy(layer === 'platform' ? undefined : [layer.slice('tenant:'.length)]),
      );
    }
    case 'entity': {
      const { ref, tenant } = object;
      return entity('DirectoryEntity', `${ref.type}/${ref.id}`, [
        ['entityType', ref.type],
        ...tenancy(tenant === undefined ? undefined : [tenant]),
      ]);
    }
    case 'callerKey':
      return callerKeyEntity(object.key);
    case 'profile':
      return profileEntity(object.profile);
    default:
      return keyEntity(object.key);
  }
}

function keyEntity({ id, tenants, expiresAt, ...granted }: KeyFacts): Entity {
  return entity('Key', id ?? NEW_KEY_ID, [
    ...tenancy(tenants),
    ...rights(granted),
    ...(expiresAt === undefined ? [] : [['expires', new DatetimeValue(Date.parse(expiresAt))] as const]),
  ]);
}

function callerKeyEntity({ id, owner, tenant, oauthScopes, isNarrowed, expiresAt }: CallerKeyFacts): Entity {
  return entity('CallerKey', id ?? NEW_KEY_ID, [
    ['ownerType', owner.type],
    ['owner', owner.id],
    ['oauthScopes', makeSet([...oauthScopes])],
    ['narrowed', isNarrowed],
    ['expires', new DatetimeValue(Date.parse(expiresAt))],
    ...tenancy(tenant === undefined ? undefined : [tenant]),
  ]);
}

/** A profile concerns whoever comes through the gateway: every tenant. */
function profileEntity({ name, kind, authentication, identity }: ProfileFacts): Entity {
  return entity('PepProfile', name, [
    ['gateway', kind],
    ['authentication', authentication.kind],
    ['identity', identity.mode],
    ...tenancy(undefined),
  ]);
}

type Attributes = readonly (readonly [string, Value])[];

function entity(type: string, id: string, attributes: Attributes): Entity {
  return {
    uid: uid(type, id),
    attributes: new RecordValue(new Map(attributes)),
    tags: EMPTY_RECORD,
    ancestors: new Set(),
  };
}

/** @param tenants undefined: every tenant */
function tenancy(tenants: Iterable<string> | undefined): Attributes {
  return [
    ['everyTenant', tenants === undefined],
    ['tenants', makeSet([...(tenants ?? [])].map(tenant => uid('Tenant', tenant)))],
  ];
}

function rights(granted: {
  readonly roles: Iterable<Role>;
  readonly mayAssert: boolean;
  readonly callers?: CallerRules | undefined;
  readonly breakGlass?: true | undefined;
}): Attributes {
  const { roles, mayAssert, callers, breakGlass } = granted;
  return [
    ['roles', makeSet([...roles].map(roleUid))],
    ['mayAssert', mayAssert],
    ['breakGlass', breakGlass === true],
    ...(callers === undefined ? [] : [['callers', JSON.stringify(callers)] as const]),
  ];
}

function roleUid(role: Role): EntityUid {
  return uid('Role', role);
}

function uid(type: string, id: string): EntityUid {
  return new EntityUid(`${CONTROL_NAMESPACE}::${type}`, id);
}
