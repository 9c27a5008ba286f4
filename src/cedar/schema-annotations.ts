/**
 * What a schema says about its attributes beside their types: which keys of a context are personal. Invariant: an
 * annotation that would have no effect is a problem, because somebody relies on it.
 */

/** Marks a key of a context whose value the decision log commits to instead of showing it. */
const PERSONAL = 'personal';
/** Keys that the service itself puts into a context, or reads from fields of a request: the log needs them. */
const OWN_KEYS: ReadonlySet<string> = new Set(['now', 'env', 'auth', 'via', 'onBehalfOf', 'input', 'params']);
/** Deepest nesting that is looked into: the types themselves are refused beyond it. */
const MAX_DEPTH = 16;

type Json = Readonly<Record<string, unknown>>;

/**
 * Adds the personal keys of one action's context.
 * @param raw the context's type in the JSON form of a schema; @param common common types by qualified name
 * @param into receives the keys; @param report receives every annotation that cannot be honoured
 */
export function collectPersonalKeys(
  raw: unknown,
  common: ReadonlyMap<string, unknown>,
  into: Set<string>,
  report: (message: string) => void,
): void {
  for (const [name, attribute] of attributesOf(raw, common, 0)) {
    if (isMarked(attribute)) {
      if (OWN_KEYS.has(name))
        report(`\`@${PERSONAL}\` cannot mark \`${name}\`, which decisions are explained with`);
      else into.add(name);
    }
    for (const inner of markedInside(attribute, common, 1)) {
      report(
        `\`@${PERSONAL}\` marks whole keys of a context: mark \`${name}\` instead of \`${inner}\` in it`,
      );
    }
  }
}

/** Names of marked attributes at any depth below. */
function markedInside(raw: unknown, common: ReadonlyMap<string, unknown>, depth: number): readonly string[] {
  if (depth > MAX_DEPTH) return [];
  return [...attributesOf(raw, common, depth)].flatMap(([name, attribute]) => [
    ...(isMarked(attribute) ? [name] : []),
    ...markedInside(attribute, common, depth + 1),
  ]);
}

/** The attributes of a record, also behind the name of a common type and inside a set. */
function attributesOf(
  raw: unknown,
  common: ReadonlyMap<string, unknown>,
  depth: number,
): Iterable<readonly [string, unknown]> {
  if (!isObject(raw) || depth > MAX_DEPTH) return [];
  const { type } = raw;
  if (type === 'Record') return isObject(raw['attributes']) ? Object.entries(raw['attributes']) : [];
  if (type === 'Set') return attributesOf(raw['element'], common, depth + 1);
  return typeof type === 'string' ? attributesOf(common.get(type), common, depth + 1) : [];
}

function isMarked(attribute: unknown): boolean {
  return isObject(attribute) && isObject(attribute['annotations']) && PERSONAL in attribute['annotations'];
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
