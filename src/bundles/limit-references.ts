/**
 * What bundles say of each other's limits: sets that permits name, limits of the platform that tenants tighten, prices
 * that limits in money need. Invariant: a set of layers that passes has no permit that relies on limits which nobody
 * declares, and no tenant that asks for more than the platform gives.
 */
import { limitSetsOf } from '../cedar/limit-sets.ts';
import type { CheckedPolicy } from '../cedar/validate.ts';
import type { Problem } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';
import type { LimitDefinition, LimitsFile } from '../domain/limit-definition.ts';
import { nearest } from '../domain/spelling.ts';
import { setNames } from '../limits/charges/layer-limits.ts';
import { highestNumber } from '../limits/charges/limit-rules.ts';
import type { LimitsSource } from './layout.ts';
import type { BuiltLayer } from './pipeline.ts';

const PLATFORM = 'platform/';
/** Most warnings of one activation; what is beyond is counted. */
const MAX_GAPS = 100;
const NO_LIMITS: LimitsFile = { limits: [], modelClasses: [], tighten: [] };

/** The bundle that is checked. */
export interface ReferringBundle {
  readonly layer: LayerName;
  readonly limits: LimitsSource | undefined;
  readonly policies: readonly CheckedPolicy[];
}

/**
 * What does not fit together.
 * @param companions for a tenant's bundle the platform layer, for a platform bundle the tenants'
 */
export function checkReferences(bundle: ReferringBundle, companions: readonly BuiltLayer[]): Problem[] {
  if (bundle.layer === 'platform') {
    const own = bundle.limits?.file ?? NO_LIMITS;
    return [...checkOwn(bundle, own), ...companions.flatMap(tenant => checkTenantBeside(own, tenant))];
  }
  const platform = companions.find(({ name }) => name === 'platform')?.limits?.file ?? NO_LIMITS;
  return checkOwn(bundle, platform);
}

/** @param platform the limits of the platform layer beside which the bundle is to be active, or its own */
function checkOwn(bundle: ReferringBundle, platform: LimitsFile): Problem[] {
  const own = bundle.limits?.file ?? NO_LIMITS;
  const problems: Problem[] = [];
  const known = namesIn(bundle.layer, own, platform);
  for (const policy of bundle.policies) {
    for (const name of limitSetsOf(policy.annotations, bundle.layer)) {
      if (known.has(name)) continue;
      const { file, line, column } = policy;
      problems.push({ file, line, column, ...unknownSet(name, bundle.layer, known) });
    }
  }
  if (bundle.limits !== undefined) problems.push(...checkFile(bundle.limits, platform));
  return problems;
}

/** What a permit may name: sets and limits of its own layer, and of the platform. */
function namesIn(layer: LayerName, own: LimitsFile, platform: LimitsFile): ReadonlySet<string> {
  return new Set([
    ...[...setNames(platform)].map(name => `${PLATFORM}${name}`),
    ...[...setNames(own)].map(name => `${layer}/${name}`),
  ]);
}

function unknownSet(
  name: string,
  layer: LayerName,
  known: ReadonlySet<string>,
): Pick<Problem, 'message' | 'hint'> {
  // as an author writes it: bare for the own layer, after `platform/` for the platform's
  const written = (full: string): string =>
    full.startsWith(`${layer}/`) ? full.slice(layer.length + 1) : full;
  const near = nearest(
    written(name),
    [...known].flatMap(full => [written(full), full]),
  );
  const elsewhere = `${PLATFORM}${written(name)}`;
  const hint = known.has(elsewhere)
    ? `the platform layer declares it: write \`${elsewhere}\``
    : near === undefined
      ? 'declare it in limits.json: as the id of a limit, or in `sets`'
      : `did you mean \`${near}\`?`;
  return { message: `\`@limits\` names \`${written(name)}\`, which no limits.json declares`, hint };
}

function checkFile({ file, place }: LimitsSource, platform: LimitsFile): Problem[] {
  const problems: Problem[] = [];
  const report = (pointer: string, message: string, hint: string): void => {
    problems.push({ file: place.file, ...place.source.locate(pointer), pointer, message, hint });
  };
  for (const [at, { limit, to }] of file.tighten.entries()) {
    const wrong = objectToTightening(limit, to, platform);
    if (wrong !== undefined) report(`/tighten/${at}/${wrong.member}`, wrong.message, wrong.hint);
  }
  if (file.prices?.default === undefined && platform.prices?.default === undefined) {
    for (const [at, definition] of file.limits.entries()) {
      if (!countsMoney(definition)) continue;
      const message = 'a limit in micro-dollars needs a price for every model';
      report(`/limits/${at}/unit`, message, 'add `prices.default`, here or in the platform layer');
    }
  }
  return problems;
}

interface TighteningObjection {
  readonly member: 'limit' | 'to';
  readonly message: string;
  readonly hint: string;
}

function objectToTightening(id: string, to: number, platform: LimitsFile): TighteningObjection | undefined {
  const known = platform.limits.find(definition => definition.id === id);
  if (known === undefined) {
    const near = nearest(
      id,
      platform.limits.map(definition => definition.id),
    );
    return {
      member: 'limit',
      message: `the platform layer has no limit \`${id}\``,
      hint: near === undefined ? hintWithout(platform) : `did you mean \`${near}\`?`,
    };
  }
  const highest = highestNumber(known);
  if (to < highest) return undefined;
  return {
    member: 'to',
    message: `${to} would not tighten limit \`${id}\`, which never gives more than ${highest}`,
    hint: 'a tenant can tighten what the platform sets, and never widen it: lower the number',
  };
}

/** A first push in the wrong order looks like a wrong name. */
function hintWithout({ limits }: LimitsFile): string {
  return limits.length === 0
    ? 'no limits of a platform layer are there yet: push and activate its bundle before those of tenants'
    : 'tenants tighten limits of the platform; their own they change';
}

function countsMoney(definition: LimitDefinition): boolean {
  return definition.kind !== 'concurrency' && definition.unit === 'micro_usd' && definition.mode !== 'off';
}

/** What an active tenant layer relies on and a platform bundle would take away. */
function checkTenantBeside(platform: LimitsFile, tenant: BuiltLayer): Problem[] {
  const file = `${tenant.name}/limits.json`;
  const hint = `activate a bundle of layer \`${tenant.name}\` without it first`;
  return gapsOf(platform, tenant).map(({ would }) => ({ file, message: would, hint }));
}

/**
 * What tenants rely on and nobody declares once a layer is active that nothing was checked against: a rollback.
 * @param others the layers that are active beside it, of which those with its name do not count
 */
export function adviseOnGaps(layer: BuiltLayer, others: Iterable<BuiltLayer>): Problem[] {
  const isPlatform = layer.name === 'platform';
  const beside = [...others].filter(
    ({ name }) => name !== layer.name && (name === 'platform') !== isPlatform,
  );
  const platform = (isPlatform ? layer : beside[0])?.limits?.file ?? NO_LIMITS;
  const found = (isPlatform ? beside : [layer]).flatMap(tenant =>
    gapsOf(platform, tenant).map(({ is }) => ({
      file: `${tenant.name}/limits.json`,
      message: is,
      hint: `activate a bundle of the platform that declares it, or one of layer \`${tenant.name}\` without it`,
    })),
  );
  if (found.length <= MAX_GAPS) return found;
  return [...found.slice(0, MAX_GAPS), { message: `and ${found.length - MAX_GAPS} more` }];
}

/** Something that a tenant relies on and the platform does not declare: said before and after it happens. */
interface Gap {
  readonly would: string;
  readonly is: string;
}

function gapsOf(platform: LimitsFile, tenant: BuiltLayer): Gap[] {
  const gaps: Gap[] = [];
  const declared = new Set([...setNames(platform)].map(name => `${PLATFORM}${name}`));
  for (const { id, limitSets } of tenant.index.policies) {
    for (const name of limitSets) {
      if (!name.startsWith(PLATFORM) || declared.has(name)) continue;
      const what = `active policy \`${id}\` names \`${name}\` in \`@limits\``;
      gaps.push({
        would: `${what}, which would be gone`,
        is: `${what}, which is gone: what it permits is denied`,
      });
    }
  }
  const own = tenant.limits?.file ?? NO_LIMITS;
  const ids = new Set(platform.limits.map(({ id }) => id));
  for (const { limit } of own.tighten) {
    if (ids.has(limit)) continue;
    const what = `\`tighten\` lowers limit \`${limit}\``;
    gaps.push({
      would: `${what}, which would be gone`,
      is: `${what}, which is gone: nothing is counted for it`,
    });
  }
  if (
    platform.prices?.default === undefined &&
    own.prices?.default === undefined &&
    own.limits.some(countsMoney)
  ) {
    const what = 'its limits in micro-dollars';
    const fate = 'calls of models that no list has are denied';
    gaps.push({ would: `${what} would have no default price`, is: `${what} have no default price: ${fate}` });
  }
  return gaps;
}
