/** Attributes, tags, types and the hierarchy: what they mean and how each fails. */
import { describeSemantics } from './semantics.ts';

describeSemantics('. on entities and records', [
  ['principal.age == 30', true],
  ['principal["odd name"] == 1', true],
  ['principal.friend.age == 20', true],
  ['principal.address.geo.lat == 46', true],
  ['{a: {b: 1}}.a.b == 1', true],
  ['User::"bob".age == 20', true],
  ['principal.missing == 1', 'ATTRIBUTE_MISSING'],
  ['principal.__proto__ == 1', 'ATTRIBUTE_MISSING'],
  ['context.constructor == 1', 'ATTRIBUTE_MISSING'],
  ['principal.address.street == 1', 'ATTRIBUTE_MISSING'],
  ['context.missing == 1', 'ATTRIBUTE_MISSING'],
  ['{a: 1}.b == 1', 'ATTRIBUTE_MISSING'],
  ['resource.owner == 1', 'ENTITY_MISSING'],
  ['principal.enemy.age == 1', 'ENTITY_MISSING'],
  ['principal.age.x == 1', 'TYPE_ERROR'],
  ['"text".length == 4', 'TYPE_ERROR'],
  ['[1].length == 1', 'TYPE_ERROR'],
  ['ip("1.1.1.1").bits == 1', 'TYPE_ERROR'],
  // A tag is not an attribute.
  ['principal.level == "gold"', 'ATTRIBUTE_MISSING'],
]);

describeSemantics('has', [
  ['principal has age', true],
  ['principal has "odd name"', true],
  ['principal has missing', false],
  ['principal has level', false],
  ['principal.address has city', true],
  ['principal.address has street', false],
  ['context has missing', false],
  ['context has __proto__', false],
  ['context has "toString"', false],
  ['{a: 1} has a', true],
  // An entity that does not exist has no attributes; that is no error.
  ['resource has owner', false],
  ['principal.enemy has age', false],
  ['1 has a', 'TYPE_ERROR'],
  ['"text" has length', 'TYPE_ERROR'],
  ['[1] has a', 'TYPE_ERROR'],
  ['resource.owner has a', 'ENTITY_MISSING'],
  ['principal.missing has a', 'ATTRIBUTE_MISSING'],
]);

describeSemantics('has with a path', [
  ['principal has address.city', true],
  ['principal has address.geo.lat', true],
  ['principal has address.geo.lon', false],
  ['principal has address.street.number', false],
  ['principal has missing.a.b', false],
  ['principal has friend.age', true],
  ['principal has friend.name', false],
  ['principal has enemy.age', false],
  ['resource has owner.name', false],
  ['{a: {b: 1}} has a.b', true],
  // What stands before the last name must have attributes.
  ['principal has age.x', 'TYPE_ERROR'],
  ['principal has address.city.x', 'TYPE_ERROR'],
  ['1 has a.b', 'TYPE_ERROR'],
]);

describeSemantics('getTag', [
  ['principal.getTag("level") == "gold"', true],
  ['principal.getTag(context.missing) == "gold"', 'ATTRIBUTE_MISSING'],
  ['principal.getTag("missing") == 1', 'TAG_MISSING'],
  ['principal.getTag("age") == 30', 'TAG_MISSING'],
  ['principal.getTag("__proto__") == 30', 'TAG_MISSING'],
  ['resource.getTag("level") == 1', 'ENTITY_MISSING'],
  ['principal.getTag(1) == 1', 'TYPE_ERROR'],
  ['resource.getTag(1) == 1', 'TYPE_ERROR'],
  ['context.getTag("level") == 1', 'TYPE_ERROR'],
  ['"text".getTag("level") == 1', 'TYPE_ERROR'],
  ['principal.getTag("level")', 'TYPE_ERROR'],
]);

describeSemantics('hasTag', [
  ['principal.hasTag("level")', true],
  ['principal.hasTag("missing")', false],
  ['principal.hasTag("age")', false],
  ['resource.hasTag("level")', false],
  ['principal.hasTag(1)', 'TYPE_ERROR'],
  ['resource.hasTag(1)', 'TYPE_ERROR'],
  ['context.hasTag("level")', 'TYPE_ERROR'],
  ['principal.hasTag(principal.missing)', 'ATTRIBUTE_MISSING'],
]);

describeSemantics('in', [
  ['principal in Team::"team"', true],
  ['principal in Org::"org"', true],
  ['principal in Team::"other"', false],
  ['principal in principal', true],
  ['principal in User::"alice"', true],
  ['Team::"team" in Org::"org"', true],
  ['Org::"org" in Team::"team"', false],
  ['action in Action::"read"', true],
  ['action in Action::"write"', false],
  // An entity that does not exist is in itself only.
  ['resource in resource', true],
  ['resource in Org::"org"', false],
  ['User::"nobody" in Team::"team"', false],
  ['principal.enemy in principal.enemy', true],
  ['principal in Missing::"group"', false],
  ['principal in [Team::"other", Org::"org"]', true],
  ['principal in [Team::"other"]', false],
  ['principal in [User::"alice"]', true],
  ['principal in []', false],
  ['principal in [principal.friend, Team::"team"]', true],
  ['principal in principal.friend', false],
  // Every element must be an entity, even behind one that matches.
  ['principal in [Org::"org", 1]', 'TYPE_ERROR'],
  ['principal in [1]', 'TYPE_ERROR'],
  ['principal in [[Org::"org"]]', 'TYPE_ERROR'],
  ['principal in 1', 'TYPE_ERROR'],
  ['principal in "Org"', 'TYPE_ERROR'],
  ['1 in principal', 'TYPE_ERROR'],
  ['1 in Org::"org"', 'TYPE_ERROR'],
  ['[principal] in Org::"org"', 'TYPE_ERROR'],
  ['1 in []', 'TYPE_ERROR'],
  ['principal in resource.owner', 'ENTITY_MISSING'],
  ['resource.owner in principal', 'ENTITY_MISSING'],
]);

describeSemantics('is', [
  ['principal is User', true],
  ['principal is Team', false],
  ['resource is Photo', true],
  ['User::"nobody" is User', true],
  // Names are compared whole: no name space is implied.
  ['principal is NS::User', false],
  ['NS::User::"x" is NS::User', true],
  ['1 is User', 'TYPE_ERROR'],
  ['context is User', 'TYPE_ERROR'],
  ['resource.owner is User', 'ENTITY_MISSING'],
]);

describeSemantics('is … in', [
  ['principal is User in Org::"org"', true],
  ['principal is User in [Team::"other", Team::"team"]', true],
  ['principal is User in Team::"other"', false],
  ['principal is Team in Org::"org"', false],
  // The group is evaluated only when the type fits.
  ['principal is Team in 1', false],
  ['principal is Team in resource.owner', false],
  ['principal is User in 1', 'TYPE_ERROR'],
  ['principal is User in resource.owner', 'ENTITY_MISSING'],
  ['1 is User in Org::"org"', 'TYPE_ERROR'],
]);
