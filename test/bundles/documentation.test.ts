/** The examples of docs/bundles.md are accepted by the service as they stand there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MAX_ARCHIVE_BYTES, MAX_FILES, MAX_UNPACKED_BYTES } from '../../src/bundles/archive.ts';
import { MAX_JSON_VALUES } from '../../src/bundles/json-source.ts';
import { readLayout } from '../../src/bundles/layout.ts';
import { DEFAULT_TEST_NOW, MAX_CASES } from '../../src/bundles/test-case.ts';
import { MAX_POLICIES } from '../../src/cedar/policy-draft.ts';
import type { Problem } from '../../src/domain/errors.ts';
import { memoryDisk, push, startPap, startWorker } from './pap.ts';

const thread = startWorker();
afterAll(() => thread.close());

const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'bundles.md'), 'utf8');
const examples = [...page.matchAll(/```json\n([^`]*)```/g)].map(match => match[1] ?? '');
const [links = '', tests = ''] = examples;

const TEMPLATE = `@id("use-model") @reason("replaced by the link")
permit (principal == ?principal, action in AI::Action::"Use", resource == ?resource);`;

describe('docs/bundles.md', () => {
  test('has an example of links.json and one of a test file', () => {
    expect(examples).toHaveLength(2);
    const problems: Problem[] = [];
    const manifest = { layer: 'tenant:acme', version: '1', description: '' } as const;
    const layout = readLayout(manifest, { 'links.json': links, 'tests/t.json': tests }, problems);
    expect(problems).toEqual([]);
    expect(layout.links.map(({ id }) => id)).toEqual(['alice-may-use-support']);
    expect(layout.tests.map(({ name }) => name)).toEqual(['a stranger is unknown']);
  });

  test('shows a bundle that passes: its link is a policy with an id and a reason of its own', async () => {
    const pap = await startPap(memoryDisk(), thread);
    await push(pap, { layer: 'platform' }, { activate: true });
    const files = { 'templates/t.cedar': TEMPLATE, 'links.json': links, 'tests/t.json': tests };
    const { report, state } = await push(pap, { layer: 'tenant:acme', files }, { activate: true });
    expect({ report, state }).toMatchObject({
      report: { policies: 1, tests: { passed: 1 } },
      state: 'active',
    });
    const policies = pap.snapshots.current?.layers.get('tenant:acme')?.index.policies ?? [];
    expect(policies.map(({ id, reason }) => ({ id, reason }))).toEqual([
      { id: 'tenant:acme/alice-may-use-support', reason: 'alice tries the support model' },
    ]);
  });

  test('names the limits that hold', () => {
    const mebibytes = (bytes: number): string => `${bytes / 2 ** 20} MiB`;
    const count = (limit: number): string => limit.toLocaleString('en-US');
    const limits = [
      `${mebibytes(MAX_ARCHIVE_BYTES)} packed`,
      `${mebibytes(MAX_UNPACKED_BYTES)} unpacked`,
      `${count(MAX_FILES)} files`,
      `${count(MAX_POLICIES)} policies`,
      `${count(MAX_CASES)} test cases`,
      `${count(MAX_JSON_VALUES)} values`,
      `clock; without it, it is ${DEFAULT_TEST_NOW.replace('.000Z', 'Z')}`,
    ];
    expect(limits.filter(limit => !page.replaceAll(/\s+/g, ' ').includes(limit))).toEqual([]);
  });
});
