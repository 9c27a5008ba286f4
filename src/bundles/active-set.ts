/** What is active at one moment, and what follows from it. Invariant: a set is never changed, only replaced. */
import type { CedarSchema } from '../cedar/schema.ts';
import type { Activation, StoredBundle } from '../domain/bundle.ts';
import type { LayerName } from '../domain/ids.ts';
import { SCHEMA_FILE } from './archive.ts';
import type { ActivePolicy, BuiltLayer, BundleContent } from './pipeline.ts';

/** A layer that decides, with the bundle it came from. */
export interface ActiveLayer {
  readonly activation: Activation;
  readonly bundle: BundleContent;
  readonly built: BuiltLayer;
}

/** All that is active at one moment. */
export interface ActiveSet {
  readonly schema: CedarSchema;
  readonly layers: ReadonlyMap<LayerName, ActiveLayer>;
}

/** What compilers need of a stored bundle: its archive stays in the store. */
export function contentOf({ digest, manifest, files, report }: StoredBundle): BundleContent {
  return { digest, manifest, files, checkedBy: report.schema };
}

/** Policy as decisions read it. */
export function policyOf({ schema, layers }: ActiveSet): ActivePolicy {
  return { schema, layers: new Map([...layers].map(([name, layer]) => [name, layer.built])) };
}

/** Layers that are evaluated together with a bundle. */
export function companionsOf(bundle: BundleContent, active: ActiveSet): BundleContent[] {
  const isPlatform = bundle.manifest.layer === 'platform';
  return [...active.layers]
    .filter(([name]) => (name === 'platform') !== isPlatform)
    .map(([, layer]) => layer.bundle);
}

/** Names everything that the tests of a bundle depend on beside itself. */
export function fingerprint(bundle: BundleContent, active: ActiveSet): string {
  const companions = companionsOf(bundle, active).map(({ digest }) => digest);
  return [schemaTextOf(bundle) === undefined ? active.schema.digest : 'own', ...companions.sort()].join(' ');
}

/** The schema that a bundle brings: platform bundles always do once they are opened. */
export function schemaTextOf({ manifest, files }: BundleContent): string | undefined {
  return manifest.layer === 'platform' ? files[SCHEMA_FILE] : undefined;
}

/** The layers with one of them replaced, or added. */
export function replace(
  layers: ReadonlyMap<LayerName, ActiveLayer>,
  layer: ActiveLayer,
): ReadonlyMap<LayerName, ActiveLayer> {
  return new Map([...layers, [layer.built.name, layer]]);
}

/** The same layers under the activations that the store has on record for them. */
export function withActivations(
  layers: ReadonlyMap<LayerName, ActiveLayer>,
  recorded: readonly Activation[],
): ReadonlyMap<LayerName, ActiveLayer> {
  const renewed = new Map(layers);
  for (const activation of recorded) {
    const layer = layers.get(activation.layer);
    if (layer !== undefined) renewed.set(activation.layer, { ...layer, activation });
  }
  return renewed;
}
