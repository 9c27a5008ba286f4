/**
 * All that the PDP knows at one moment. Invariant: a decision reads exactly one snapshot; writers publish a
 * new one by swapping one pointer, so a decision never sees half of a change.
 */
import type { CedarSchema } from '../cedar/schema.ts';
import type { PolicyIndex } from '../cedar/types.ts';
import type { DirectoryView } from '../directory/view.ts';
import type { Digest } from '../domain/bundle.ts';
import type { LayerName } from '../domain/ids.ts';

export interface CompiledLayer {
  readonly name: LayerName;
  readonly digest: Digest;
  readonly index: PolicyIndex;
}

export interface Snapshot {
  readonly schema: CedarSchema;
  readonly layers: ReadonlyMap<LayerName, CompiledLayer>;
  readonly directory: DirectoryView;
}
