/**
 * The settings of the schema as a flat list of named leaves. Invariant: the name in the file and the name in
 * the environment derive from the same path, so they cannot drift apart.
 */
import { z } from 'zod';
import { settingNotes } from './setting-notes.ts';
import { configSchema } from './settings.ts';

/** Prefix of every environment variable that the service reads. */
export const ENV_PREFIX = 'DURAMEN_';

/** Environment variable with the path of the configuration file. */
export const CONFIG_FILE_VARIABLE = 'DURAMEN_CONFIG';

export interface Setting {
  /** `http.listen` */
  readonly name: string;
  readonly path: readonly string[];
  /** `DURAMEN_HTTP_LISTEN` */
  readonly env: string;
  readonly schema: z.core.$ZodType;
  readonly kind: 'string' | 'integer' | 'list';
  /** `1 to 3600`, `compiled | wasm`, or empty. */
  readonly range: string;
  /** As it is written in a file; undefined: none. */
  readonly defaultValue: unknown;
  readonly unit: string;
  readonly description: string;
  readonly secret: boolean;
}

/** Every setting in the order of the schema. */
export function listSettings(): readonly Setting[] {
  const found: Setting[] = [];
  collect(configSchema.shape, [], found);
  return found;
}

function collect(
  shape: Readonly<Record<string, z.core.$ZodType>>,
  prefix: readonly string[],
  into: Setting[],
): void {
  for (const [key, schema] of Object.entries(shape)) {
    const path = [...prefix, key];
    const group = schema instanceof z.ZodPrefault ? schema.def.innerType : schema;
    if (group instanceof z.ZodObject) collect(group.shape, path, into);
    else into.push(describe(path, schema));
  }
}

function describe(path: readonly string[], schema: z.core.$ZodType): Setting {
  const name = path.join('.');
  const notes = settingNotes.get(schema);
  if (notes === undefined) throw new Error(`setting \`${name}\` has no description`);
  const json = z.toJSONSchema(schema, { io: 'input' });
  return {
    name,
    path,
    env:
      ENV_PREFIX + path.map(part => part.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()).join('_'),
    schema,
    kind: json.type === 'integer' ? 'integer' : json.type === 'array' ? 'list' : 'string',
    range: rangeOf(json),
    defaultValue: json.default,
    unit: notes.unit ?? '',
    description: notes.description,
    secret: notes.secret ?? false,
  };
}

function rangeOf(json: z.core.JSONSchema.BaseSchema): string {
  if (json.enum !== undefined) return json.enum.join(' | ');
  if (json.minimum !== undefined && json.maximum !== undefined) return `${json.minimum} to ${json.maximum}`;
  if (json.maxItems !== undefined) return `at most ${json.maxItems}`;
  if (json.minLength !== undefined && json.minLength > 1) return `at least ${json.minLength} characters`;
  return '';
}
