/** The examples of docs/limits.md are limits as a bundle may hold them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseJsonSource, isSource } from '../../src/bundles/json-source.ts';
import { limitDefinitionSchema, limitsFileSchema } from '../../src/domain/limit-definition.ts';
import { FACTS, layerOf, NOW, plannerWith } from './charges/planning-world.ts';

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'limits.md'), 'utf8');
const examples = [...page.matchAll(/```json\n([^`]*)```/g)].map(match => match[1] ?? '');

function parse(text: string): unknown {
  const source = parseJsonSource(text, 'docs/limits.md');
  if (!isSource(source)) throw new Error(source.message);
  return source.value;
}

describe('docs/limits.md', () => {
  test('shows files that are taken, and limits of such files', () => {
    const isFile = (value: unknown): boolean => limitsFileSchema.safeParse(value).success;
    const isLimit = (value: unknown): boolean => limitDefinitionSchema.safeParse(value).success;
    expect(examples.length).toBeGreaterThan(3);
    expect(examples.filter(text => !isFile(parse(text)) && !isLimit(parse(text)))).toEqual([]);
  });

  test('tells a number as it is resolved', () => {
    const layer = layerOf('platform', parse(examples[0] ?? ''));
    const rules = plannerWith()
      .plan(FACTS, [layer], NOW)
      .map(({ rule }) => [rule.name, rule.limit, rule.source]);
    expect(rules).toContainEqual([
      'platform/user-minute',
      48,
      'base 120 x tier pro 200% x class high_value 20%',
    ]);
  });
});
