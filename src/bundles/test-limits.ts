/**
 * The limits that tests expect, held against those that are declared. Invariant: an expectation about a limit that
 * cannot be charged, because nobody declares it, never passes in silence: `null` would hold for any misspelt name.
 */
import type { Problem } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';
import { nearest } from '../domain/spelling.ts';
import { printable } from './paths.ts';
import type { BuiltLayer } from './pipeline.ts';
import type { TestCase } from './test-case.ts';

/** The limits that tests run beside, by layer. */
export interface KnownLimits {
  /** The layer whose tests they are. */
  readonly layer: LayerName;
  /** Ids of limits by layer, without its name; of the layer itself and of those that are active beside it. */
  readonly ids: ReadonlyMap<LayerName, ReadonlySet<string>>;
}

/** What is wrong with the names of limits in one test, and what is left unsaid by them. */
export interface LimitNames {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

export function knownLimits(layer: LayerName, layers: readonly BuiltLayer[]): KnownLimits {
  return {
    layer,
    ids: new Map(
      layers.map(({ name, limits }) => [name, new Set((limits?.file.limits ?? []).map(({ id }) => id))]),
    ),
  };
}

/** Looks at every limit that a test names. */
export function checkLimitNames(
  { name: test, file, line, column, expect }: TestCase,
  known: KnownLimits,
): LimitNames {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const place = { file, line, column };
  for (const [name, number] of Object.entries(expect.limits ?? {})) {
    if (isDeclared(name, known)) continue;
    const about = `test \`${printable(test)}\` expects limit \`${printable(name)}\``;
    const layer = layersOf(name, known)[0];
    if (layer === undefined && mayBeActiveLater(name, known)) {
      // a number is not met and fails by itself
      if (number !== null) continue;
      const message = `${about} not to be charged, of a layer that is not active`;
      warnings.push({ ...place, message, hint: 'the test says nothing before that layer is active' });
    } else {
      problems.push({
        ...place,
        message: `${about}, which nobody declares`,
        hint: hintFor(name, layer, known),
      });
    }
  }
  return { problems, warnings };
}

function isDeclared(name: string, known: KnownLimits): boolean {
  return layersOf(name, known).some(
    layer => known.ids.get(layer)?.has(name.slice(layer.length + 1)) === true,
  );
}

/** Layers that are there and that the name may be of. Ids of tenants may hold slashes, so there may be two. */
function layersOf(name: string, { ids }: KnownLimits): LayerName[] {
  return [...ids.keys()].filter(layer => name.startsWith(`${layer}/`));
}

/** The tests of the platform see all tenants, those of a tenant the platform. */
function mayBeActiveLater(name: string, { layer }: KnownLimits): boolean {
  return layer === 'platform' ? /^tenant:[^/]+\/./.test(name) : name.startsWith('platform/');
}

function hintFor(name: string, layer: LayerName | undefined, { ids, layer: own }: KnownLimits): string {
  if (layer !== undefined) {
    const near = nearest(name.slice(layer.length + 1), ids.get(layer) ?? []);
    if (near !== undefined) return `did you mean \`${layer}/${near}\`?`;
  }
  const full = [...ids].flatMap(([of, names]) => [...names].map(id => `${of}/${id}`));
  const elsewhere = full.find(one => one.endsWith(`/${name}`)) ?? nearest(name, full);
  if (elsewhere !== undefined) return `did you mean \`${elsewhere}\`?`;
  const seen = own === 'platform' ? 'the platform and of tenants' : `the platform and of \`${own}\``;
  return `write \`<layer>/<id>\` of a limit of ${seen}, as limits.json declares it`;
}
