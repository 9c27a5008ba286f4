/**
 * What limits.json must fulfil beyond its shape, by itself and under its schema. Invariant: what passes names only
 * operations, types and classes that exist, and means something in every member.
 */
import type { CedarSchema } from '../cedar/schema.ts';
import type { Problem } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';
import { NAMESPACE } from '../domain/names.ts';
import type { LimitDefinition, LimitMatch, LimitsFile } from '../domain/limit-definition.ts';
import { nearest } from '../domain/spelling.ts';
import { actionNames } from '../limits/charges/layer-limits.ts';
import { parseNetwork } from '../domain/network-address.ts';
import type { LimitsSource } from './layout.ts';

/** Dimensions of a pool that is shared between tenants: it must not be told apart by who asks. */
const POOL_DIMENSIONS: ReadonlySet<string> = new Set(['model', 'model_group', 'operation', 'pep']);

/** A problem at an RFC 6901 pointer into limits.json. */
type Report = (pointer: string, message: string, hint?: string) => void;

interface Vocabulary {
  readonly operations: ReadonlySet<string>;
  /** Those that are no groups. */
  readonly actions: ReadonlySet<string>;
  readonly types: ReadonlySet<string>;
  readonly classes: ReadonlySet<string>;
  /** What to do about a class that is like none of these. */
  readonly classAdvice: string;
}

/** Adds what is wrong with the limits of a layer. */
export function checkLimits(
  { file, place }: LimitsSource,
  layer: LayerName,
  schema: CedarSchema,
  problems: Problem[],
): void {
  const report: Report = (pointer, message, hint) => {
    const at = { file: place.file, ...place.source.locate(pointer), pointer };
    problems.push({ ...at, message, ...(hint === undefined ? {} : { hint }) });
  };
  const actions = [...schema.actions.values()];
  const vocabulary: Vocabulary = {
    operations: new Set(actionNames(actions).keys()),
    actions: new Set(
      actions.filter(({ principalTypes }) => principalTypes.size > 0).map(({ uid }) => uid.id),
    ),
    types: new Set([...schema.entityTypes.keys()].map(name => name.slice(NAMESPACE.length + 2))),
    classes: new Set(file.modelClasses.map(({ id }) => id)),
    classAdvice: `declare it in \`modelClasses\`${layer === 'platform' ? '' : ': those of the platform are for its own limits'}`,
  };
  if (layer === 'platform') checkPlatformPart(file, report);
  else checkTenantPart(file, layer, report);
  checkNames(file, report);
  checkShedding(file, vocabulary, report);
  for (const [at, definition] of file.limits.entries()) {
    checkDefinition(definition, `/limits/${at}`, vocabulary, report);
  }
  for (const [at, { match }] of file.tighten.entries()) {
    checkMatch(match, `/tighten/${at}/match`, vocabulary, report);
  }
}

function checkPlatformPart(file: LimitsFile, report: Report): void {
  if (file.tighten.length === 0) return;
  report('/tighten', 'the platform layer has nothing to tighten', 'change the limit itself');
}

/** What only the platform decides, because it holds for all tenants. */
function checkTenantPart(file: LimitsFile, layer: LayerName, report: Report): void {
  for (const name of ['penalties', 'shedding'] as const) {
    if (file[name] === undefined) continue;
    report(
      `/${name}`,
      `a bundle of layer \`${layer}\` may not declare \`${name}\``,
      'the platform layer does',
    );
  }
  for (const [at, definition] of file.limits.entries()) {
    if (definition.kind !== 'concurrency' || definition.fair === undefined) continue;
    const message = `a bundle of layer \`${layer}\` may not divide a pool between tenants`;
    report(`/limits/${at}/fair`, message, 'the platform layer does; remove `fair`');
  }
}

/** Load is held against the action that is asked for, so a group of actions would turn nobody away. */
function checkShedding({ shedding }: LimitsFile, { actions }: Vocabulary, report: Report): void {
  for (const [step, { operations }] of (shedding?.steps ?? []).entries()) {
    for (const [at, name] of operations.entries()) {
      refuseUnknown(name, actions, 'action', `/shedding/steps/${step}/operations/${at}`, report);
    }
  }
}

/** Ids and names of sets are one space of names: `@limits` uses both. */
function checkNames({ limits, modelClasses, prices }: LimitsFile, report: Report): void {
  refuseRepeated(
    limits.map(({ id }, at) => [id, `/limits/${at}/id`]),
    'limits have the id',
    report,
  );
  refuseRepeated(
    modelClasses.map(({ id }, at) => [id, `/modelClasses/${at}/id`]),
    'classes have the id',
    report,
  );
  refuseRepeated(
    (prices?.models ?? []).map(({ model, version }, at) => [
      version === undefined ? model : `${model}@${version}`,
      `/prices/models/${at}/model`,
    ]),
    'prices are for',
    report,
  );
  const ids = new Set(limits.map(({ id }) => id));
  for (const [at, { sets }] of limits.entries()) {
    for (const [position, name] of (sets ?? []).entries()) {
      if (!ids.has(name)) continue;
      const message = `a limit has the id \`${name}\`, so no set can have this name`;
      report(`/limits/${at}/sets/${position}`, message, 'rename the set: `@limits` could mean both');
    }
  }
}

function refuseRepeated(
  named: readonly (readonly [name: string, pointer: string])[],
  what: string,
  report: Report,
): void {
  const seen = new Set<string>();
  for (const [name, pointer] of named) {
    if (seen.has(name)) report(pointer, `two ${what} \`${name}\``, 'keep one of them');
    seen.add(name);
  }
}

function checkDefinition(
  definition: LimitDefinition,
  pointer: string,
  vocabulary: Vocabulary,
  report: Report,
): void {
  checkMatch(definition.match, `${pointer}/match`, vocabulary, report);
  for (const name of Object.keys(definition.byClass)) {
    refuseUnknownClass(name, vocabulary, `${pointer}/byClass/${name}`, report);
  }
  for (const [at, { principals }] of definition.overrides.entries()) {
    for (const [position, { type }] of (principals ?? []).entries()) {
      const place = `${pointer}/overrides/${at}/principals/${position}/type`;
      refuseUnknown(type, vocabulary.types, 'entity type', place, report);
    }
  }
  if (definition.kind === 'concurrency') checkPool(definition, pointer, report);
  else checkEstimate(definition, pointer, report);
  if (definition.kind === 'rate' && definition.burst > Math.max(definition.limit, 1)) {
    const message = `a burst of ${definition.burst} is more than the ${definition.limit} of the whole time`;
    report(`${pointer}/burst`, message, 'lower the burst, or raise the limit');
  }
}

function checkPool(
  { fair, key }: Extract<LimitDefinition, { kind: 'concurrency' }>,
  pointer: string,
  report: Report,
): void {
  if (fair === undefined) return;
  for (const [at, dimension] of key.entries()) {
    if (POOL_DIMENSIONS.has(dimension)) continue;
    const message = `a pool that tenants share cannot be told apart by \`${dimension}\``;
    report(`${pointer}/key/${at}`, message, 'remove the dimension, or `fair`');
  }
  if (Object.values(fair.weights).some(weight => weight > 0) || fair.others > 0) return;
  report(`${pointer}/fair`, 'no tenant has a weight in the pool', 'give one, or `others`, a weight above 0');
}

function checkEstimate(
  { unit, estimate }: Exclude<LimitDefinition, { kind: 'concurrency' }>,
  pointer: string,
  report: Report,
): void {
  if (estimate === undefined) return;
  if (unit === 'requests') {
    report(`${pointer}/estimate`, 'a request is one request: nothing is estimated', 'remove `estimate`');
  }
  if (unit === 'compute_ms' && estimate.policy === 'maximum') {
    const hint = 'use `expected`, or `capped` with the milliseconds to reserve';
    report(`${pointer}/estimate/policy`, 'nobody knows the most time that a call may take', hint);
  }
}

function checkMatch(match: LimitMatch, pointer: string, vocabulary: Vocabulary, report: Report): void {
  const { operations, types } = vocabulary;
  const each = (name: keyof LimitMatch, known: ReadonlySet<string>, what: string): void => {
    for (const [at, value] of (match[name] ?? []).entries()) {
      if (typeof value === 'string') refuseUnknown(value, known, what, `${pointer}/${name}/${at}`, report);
      else refuseUnknown(value.type, types, what, `${pointer}/${name}/${at}/type`, report);
    }
  };
  each('operations', operations, 'action');
  for (const [at, name] of (match.classes ?? []).entries()) {
    refuseUnknownClass(name, vocabulary, `${pointer}/classes/${at}`, report);
  }
  each('principalTypes', types, 'entity type');
  each('principals', types, 'entity type');
  each('principalGroups', types, 'entity type');
  for (const [at, text] of (match.networks ?? []).entries()) {
    if (parseNetwork(text) !== undefined) continue;
    report(`${pointer}/networks/${at}`, `\`${text}\` is no network`, 'write it as `192.0.2.0/24`');
  }
}

function refuseUnknownClass(
  name: string,
  { classes, classAdvice }: Vocabulary,
  pointer: string,
  report: Report,
): void {
  refuseUnknown(name, classes, 'class of models', pointer, report, classAdvice);
}

/** @param advice where no known name is near */
function refuseUnknown(
  name: string,
  known: ReadonlySet<string>,
  what: string,
  pointer: string,
  report: Report,
  advice?: string,
): void {
  if (known.has(name)) return;
  const near = nearest(name, known);
  report(
    pointer,
    `there is no ${what} \`${name}\``,
    near === undefined ? advice : `did you mean \`${near}\`?`,
  );
}
