/** The keys that a schema knows, for "did you mean". */
import { z } from 'zod';

/** Every key of an object at any depth. */
export function keysOf(schema: z.ZodType): readonly string[] {
  const keys = new Set<string>();
  collect(z.toJSONSchema(schema, { io: 'input' }), keys);
  return [...keys];
}

function collect(node: unknown, keys: Set<string>): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [name, value] of Object.entries(node)) {
    if (name === 'properties') addNames(value, keys);
    collect(value, keys);
  }
}

function addNames(members: unknown, keys: Set<string>): void {
  if (typeof members !== 'object' || members === null) return;
  for (const name of Object.keys(members)) keys.add(name);
}
