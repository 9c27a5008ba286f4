/**
 * What no replacement of the control plane's policies can permit, as Cedar in code. Invariant: these policies are
 * evaluated with every decision beside those that the operator chose, and a forbid wins over every permit.
 */
import type { PolicyFile } from '../cedar/policy-draft.ts';

/** Policies that keep a credential within its tenants; their denials are answered as such. */
export const TENANT_POLICIES: ReadonlySet<string> = new Set([
  'builtin/tenant-limit',
  'builtin/whole-log',
  'builtin/whole-service',
]);

/** The file in which problems of these policies would be reported. */
const FILE = 'built-in-forbids.cedar';

const ALWAYS = `
@id("tenant-limit")
@reason("a key that is limited to tenants does not leave them")
forbid (principal, action, resource)
when { !principal.everyTenant }
unless {
  resource is Duramen::Service ||
  (!resource.everyTenant && !resource.tenants.isEmpty() && principal.tenants.containsAll(resource.tenants))
};

@id("tenant-itself")
@reason("what a tenant is, with its plan, its status and its parents, is for keys of every tenant to write")
forbid (
  principal,
  action in Duramen::Action::"ChangeDirectory",
  resource is Duramen::DirectoryEntity
)
when
{
  !principal.everyTenant &&
  resource.entityType == "Tenant" &&
  principal.tenants.containsAll(resource.tenants)
};

@id("whole-log")
@reason("this concerns entries of every tenant, and the key is limited to some")
forbid (principal, action in Duramen::Action::"WholeLog", resource)
when { !principal.everyTenant };

@id("whole-service")
@reason("this concerns every tenant, and the key is limited to some")
forbid (principal, action in Duramen::Action::"WholeService", resource)
when { !principal.everyTenant };

@id("auditors-never-write")
@reason("auditors do not change what they audit")
forbid (principal in Duramen::Role::"auditor", action in Duramen::Action::"Change", resource)
unless {
  principal.roles.containsAny(
    [Duramen::Role::"author",
     Duramen::Role::"approver",
     Duramen::Role::"directory",
     Duramen::Role::"keys",
     Duramen::Role::"limits",
     Duramen::Role::"load",
     Duramen::Role::"admin"])
};

@id("no-wider-roles")
@reason("nobody makes or revokes a key with a role that their own key does not have")
forbid (
  principal,
  action in [Duramen::Action::"createKey", Duramen::Action::"revokeKey"],
  resource is Duramen::Key
)
unless { principal in Duramen::Role::"admin" || principal.roles.containsAll(resource.roles) };

@id("no-wider-assertion")
@reason("nobody makes or revokes a key that may assert what their own key may not")
forbid (
  principal,
  action in [Duramen::Action::"createKey", Duramen::Action::"revokeKey"],
  resource is Duramen::Key
)
when { resource.mayAssert && !principal.mayAssert };

@id("no-wider-callers")
@reason("a key that is held to rules for callers hands on these very rules")
forbid (
  principal,
  action in [Duramen::Action::"createKey", Duramen::Action::"revokeKey"],
  resource is Duramen::Key
)
when {
  principal has callers && resource.roles.containsAny([Duramen::Role::"pep", Duramen::Role::"admin"])
}
unless { resource has callers && resource.callers == principal.callers };

@id("no-wider-gateways")
@reason("a network that asks without a key may assert callers and lasts: that takes a key that may, and lasts")
forbid (
  principal,
  action == Duramen::Action::"putPepProfile",
  resource is Duramen::PepProfile
)
when {
  resource.authentication == "network" &&
  (principal has callers || !principal.mayAssert || (principal has expires && !principal.breakGlass))
};

@id("no-longer-life")
@reason("a key that expires makes no key that outlives it")
forbid (principal, action == Duramen::Action::"createKey", resource is Duramen::Key)
when { principal has expires && !principal.breakGlass }
unless { resource has expires && resource.expires <= principal.expires };

@id("no-made-break-glass")
@reason("break-glass keys are made on the host of the service alone")
forbid (principal, action == Duramen::Action::"createKey", resource is Duramen::Key)
when { resource.breakGlass };
`;

const TWO_PERSONS = `
@id("two-persons")
@reason("who pushed a bundle does not activate it: another key has to")
forbid (
  principal,
  action in Duramen::Action::"ActivateBundles",
  resource is Duramen::Layer
)
when { context has pushedBy && context.pushedBy == principal };
`;

/** @param twoPersons whether activating takes another key than pushing did */
export function builtInForbids(twoPersons: boolean): PolicyFile {
  return { path: FILE, text: twoPersons ? ALWAYS + TWO_PERSONS : ALWAYS };
}
