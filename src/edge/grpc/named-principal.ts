/**
 * Whom a gateway names beside the headers: in metadata of its filters, or by the certificate of its client.
 * Invariant: these places are filled by the gateway alone; a name in one of them never falls back to a header.
 */
import type { PepProfile } from '../../domain/pep-profile.ts';
import type { CheckAttributes } from './check-messages.ts';
import { textAt } from './struct.ts';

/** `source:principal`: the name in the verified certificate of the client. */
const SOURCE = 'source:principal';
/** `metadata:<filter>/<field>/<field>`: a text in the metadata of a filter. */
const METADATA = 'metadata:';

/** @returns undefined when the profile's principal stands in a header; empty when it is nowhere. */
export function namedPrincipal({ identity }: PepProfile, attributes: CheckAttributes): string | undefined {
  if (identity.mode !== 'assert' || !identity.principal.includes(':')) return undefined;
  if (identity.principal === SOURCE) return attributes.source?.principal ?? '';
  if (!identity.principal.startsWith(METADATA)) return '';
  const [filter = '', ...path] = identity.principal.slice(METADATA.length).split('/');
  const filters = attributes.metadata_context?.filter_metadata ?? {};
  return textAt(Object.hasOwn(filters, filter) ? filters[filter] : undefined, path) ?? '';
}
