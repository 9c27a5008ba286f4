/** The shipped schema, parsed, for tests. */
import { readFileSync } from 'node:fs';
import { parseSchema } from '../../src/cedar/schema-parse.ts';
import type { CedarSchema } from '../../src/cedar/schema.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';

const PATH = new URL('../../schema/model-serving.cedarschema', import.meta.url);

/** Parses `text`, by default the shipped schema. */
export function schemaForTest(text: string = readFileSync(PATH, 'utf8')): CedarSchema {
  const result = parseSchema(text, new CedarWasm());
  if (!result.ok) throw new Error(`the schema does not parse: ${JSON.stringify(result.problems)}`);
  return result.schema;
}

/** Text of the shipped schema. */
export function shippedSchemaText(): string {
  return readFileSync(PATH, 'utf8');
}
