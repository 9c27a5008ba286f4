/**
 * The shipped bundles pass the gate of a push with all their tests, and each of their policies is shown by a
 * test in which it decides. Invariant: what the project ships is what its own service accepts.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OpenedBundle } from '../../src/bundles/archive.ts';
import { CompilerClient, type PolicyWorkerApi } from '../../src/bundles/compiler-client.ts';
import { PolicyThread } from '../../src/bundles/policy-thread.ts';
import { testFileSchema } from '../../src/bundles/test-case.ts';
import { readBundleFolder } from '../../src/cli/bundle-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const BUNDLES = [
  { folder: 'policies/platform', policies: 11 },
  { folder: 'policies/tenants/acme', policies: 12 },
  { folder: 'policies/tenants/globex', policies: 10 },
];
const SCHEMA = 'schema.cedarschema';
const schemaText = readFileSync(join(ROOT, 'schema/model-serving.cedarschema'), 'utf8');

let thread: PolicyThread<PolicyWorkerApi>;
let compiler: CompilerClient;
beforeAll(() => {
  const script = new URL('../../src/policy-worker.ts', import.meta.url);
  thread = new PolicyThread<PolicyWorkerApi>({ name: 'the policy compiler', script });
  const clock = { now: () => 0, monotonic: () => 0 };
  compiler = new CompilerClient({ checker: thread, builder: thread, clock, defaultSchemaText: schemaText });
});
afterAll(() => thread.close());

async function open(folder: string): Promise<OpenedBundle> {
  const { manifest, files, ignored } = await readBundleFolder(join(ROOT, folder));
  if (ignored.length > 0) throw new Error(`not part of the bundle: ${ignored.join(', ')}`);
  return await compiler.open('json', new TextEncoder().encode(JSON.stringify({ manifest, files })));
}

describe.each(BUNDLES)('$folder', ({ folder, policies }) => {
  test('is accepted with all its tests', async () => {
    const platform = await open('policies/platform');
    const bundle = await open(folder);
    const companions = bundle.digest === platform.digest ? [] : [platform];
    const report = await compiler.check({ bundle, schemaText, companions, runTests: true });
    expect(report.warnings).toEqual([]);
    expect(report.policies).toBe(policies);
    expect(report.tests).toEqual({ passed: casesOf(folder).length, failed: 0 });
  });

  test('shows each of its policies deciding', () => {
    const ids = policyIds(folder);
    expect(ids).toHaveLength(policies);
    const deciding = new Set(casesOf(folder).flatMap(one => one.expect.policies ?? []));
    expect(ids.filter(id => ![...deciding].some(full => full.endsWith(`/${id}`)))).toEqual([]);
  });
});

test('the platform bundle brings the schema of the project', () => {
  expect(readFileSync(join(ROOT, 'policies/platform', SCHEMA), 'utf8')).toBe(schemaText);
});

function casesOf(folder: string) {
  const tests = join(ROOT, folder, 'tests');
  return readdirSync(tests).flatMap(
    name => testFileSchema.parse(JSON.parse(readFileSync(join(tests, name), 'utf8'))).cases,
  );
}

function policyIds(folder: string): string[] {
  const policies = join(ROOT, folder, 'policies');
  const texts = readdirSync(policies).map(name => readFileSync(join(policies, name), 'utf8'));
  return texts.flatMap(text => [...text.matchAll(/@id\("([^"]+)"\)/g)].map(match => match[1] ?? ''));
}
