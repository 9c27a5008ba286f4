/**
 * What of identifiers and levels needs no schema. Invariant: this file loads nothing, so that threads which check no
 * input from outside do not load the code that does.
 */

/** The namespace of every entity type and action that Duramen decides about. */
export const NAMESPACE = 'AI';

/** The three questions of a decision, in their order: this model at all, this data, this operation. */
export const LEVELS = ['endpoint', 'tenant', 'action'] as const;

/** The tenant that owns an id by its prefix: `acme/support-llm` belongs to `acme`; undefined without a slash. */
export function tenantPrefix(id: string): string | undefined {
  const slash = id.indexOf('/');
  return slash > 0 ? id.slice(0, slash) : undefined;
}
