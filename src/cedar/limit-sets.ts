/**
 * The limit sets that a policy names with `@limits("gold, platform/trial")`. Invariant: a name is qualified by the
 * layer that declares it, so that a tenant's set never stands for one of the platform, nor the other way round.
 */

/** What a policy of a tenant writes before the name of a set of the platform layer. */
const PLATFORM = 'platform/';

/**
 * The sets, each once, in their order. A bare name is one of the policy's own layer.
 * @param layer of the policy
 */
export function limitSetsOf(annotations: ReadonlyMap<string, string>, layer: string): readonly string[] {
  const text = annotations.get('limits');
  if (text === undefined) return [];
  const names = text.split(',').map(name => name.trim());
  return [...new Set(names.map(name => (name.startsWith(PLATFORM) ? name : `${layer}/${name}`)))];
}
