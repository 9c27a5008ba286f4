/**
 * Cedar's own test data through our evaluator: decision, determining policies and erring policies, with the
 * index and without. What the policy decoder refuses is counted and named, never decided.
 */
import { isDeepStrictEqual } from 'node:util';
import { policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, it } from 'vitest';
import { authorize } from '../../src/cedar/authorize.ts';
import { compilePolicy } from '../../src/cedar/compile.ts';
import { decodePolicy } from '../../src/cedar/est.ts';
import { UnsupportedPolicyError } from '../../src/cedar/est-shape.ts';
import { LinearIndex, PolicyIndexBuilder } from '../../src/cedar/policy-index.ts';
import { splitPolicies } from '../../src/cedar/policy-text.ts';
import type { CedarSchema } from '../../src/cedar/schema.ts';
import { parseSchema } from '../../src/cedar/schema-parse.ts';
import type { CompiledPolicy, PolicyIndex } from '../../src/cedar/types.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import {
  type FixtureCase,
  fixturesPresent,
  readCase,
  readCorpus,
  readEntities,
  toRequest,
} from './cedar-fixtures.ts';
import { REFUSED_CORPUS_CASES } from './refused-corpus-cases.ts';

const wasm = new CedarWasm();

/** Generated policies nest deeper than what Duramen accepts at push. */
const CORPUS_LIMITS = { depth: 200, nodes: 20_000 };

function schemaOf(text: string): CedarSchema {
  const result = parseSchema(text, wasm);
  if (!result.ok) throw new Error(result.problems.map(problem => problem.message).join('; '));
  return result.schema;
}

/** The policies under Cedar's positional ids. @throws UnsupportedPolicyError */
function compileText(text: string, schema: CedarSchema): CompiledPolicy[] {
  return splitPolicies(text).map((policy, position) => {
    // Not through our own gateway, which caps the text of a policy as well.
    const answer = policyToJson(policy.text);
    if (answer.type !== 'success') throw new Error(answer.errors.map(error => error.message).join('; '));
    const ast = decodePolicy(answer.json, CORPUS_LIMITS);
    return compilePolicy({ id: `policy${position}`, policy: ast, actions: schema.actions });
  });
}

function indexOf(policies: readonly CompiledPolicy[], schema: CedarSchema): PolicyIndex {
  const builder = new PolicyIndexBuilder(schema.actions);
  for (const policy of policies) builder.add(policy);
  return builder.build();
}

/** Decides every request of a case with the index and without; what differs from Cedar's own answers. */
function disagreements(fixture: FixtureCase): unknown[] {
  const schema = schemaOf(fixture.schema);
  const policies = compileText(fixture.policies, schema);
  const entities = readEntities(schema, fixture.entities);
  const indexes = { index: indexOf(policies, schema), linear: new LinearIndex(policies) };
  return Object.entries(indexes).flatMap(([kind, index]) =>
    fixture.requests.flatMap((request, position) => {
      const answer = authorize([index], toRequest(schema, entities, request));
      const ours = {
        decision: answer.decision,
        reason: answer.determining.map(policy => policy.id),
        errors: answer.erroring.map(policy => policy.id),
      };
      const cedars = {
        decision: request.decision,
        reason: request.reason.toSorted(),
        errors: request.errors.toSorted(),
      };
      return isDeepStrictEqual(ours, cedars) ? [] : [{ case: fixture.name, position, kind, ours, cedars }];
    }),
  );
}

describe.runIf(fixturesPresent('hand-written requests', 74))('hand-written requests', () => {
  const files = [
    ...['1', '2'].map(name => `tests/decimal/${name}.json`),
    ...['1a', '2a', '2b', '2c', '3a', '3b', '3c', '4a', '4d', '4e', '4f', '5b'].map(
      name => `tests/example_use_cases/${name}.json`,
    ),
    ...['1', '2', '3'].map(name => `tests/ip/${name}.json`),
    ...['1', '2', '3', '4', '5'].map(name => `tests/multi/${name}.json`),
  ];
  it.each(files)('%s is decided as Cedar decides it', file => {
    expect(disagreements(readCase(file))).toEqual([]);
  });

  it('are 74', () => {
    expect(files.flatMap(file => readCase(file).requests)).toHaveLength(74);
  });
});

describe.runIf(fixturesPresent('corpus cases', 1968))('generated corpus', () => {
  it('is decided as Cedar decides it, or refused for an integer beyond 2^53', async () => {
    const corpus = await readCorpus();
    expect(corpus).toHaveLength(1968);
    const wrong: unknown[] = [];
    const refused: string[] = [];
    for (const fixture of corpus) {
      try {
        wrong.push(...disagreements(fixture));
      } catch (error) {
        const inexact = error instanceof UnsupportedPolicyError && error.message.includes('9007199254740991');
        if (!inexact || !/[0-9]{16}/.test(fixture.policies)) throw error;
        refused.push(fixture.name.slice(0, 8));
      }
    }
    process.stderr.write(`refused for an inexact integer literal: ${refused.length} of ${corpus.length}\n`);
    expect(wrong).toEqual([]);
    expect(refused).toEqual(REFUSED_CORPUS_CASES);
  }, 120_000);
});
