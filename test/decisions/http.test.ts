/**
 * The golden corpus over HTTP, against the service as it is wired: bundles pushed, the world imported, each
 * case decided by POST /decide at its own time, and its entry read back from the log.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { readBundleFolder } from '../../src/cli/bundle-folder.ts';
import { loadConfig } from '../../src/config.ts';
import { decisionSchema } from '../../src/domain/decision.ts';
import { type RunningService, startService } from '../../src/main.ts';
import { readCases, readWorld } from './corpus.ts';
import { expected, observe, sayable } from './expectation.ts';
import { readPolicies } from './scene.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const ADMIN_KEY = 'golden-corpus-admin-key-0123456789abcdef';
const cases = readCases();

/** The entry of a decision as GET /v1/decisions/{id} answers it. */
const entrySchema = z.looseObject({ decisionId: z.string(), log: z.looseObject({ index: z.int() }) });

let folder: string;
let service: RunningService;
let now = Date.parse('2026-03-10T12:00:00Z');

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-corpus-'));
  const { config } = loadConfig({
    env: {
      DURAMEN_DATA_DIR: folder,
      DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
      DURAMEN_ENGINE_CROSS_CHECK: 'all',
      DURAMEN_LOG_LEVEL: 'silent',
    },
    readFile: path => {
      throw new Error(`no configuration file, so nobody reads ${path}`);
    },
  });
  const clock = { now: () => now, monotonic: () => performance.now() };
  service = await startService(config, { clock, writeLog: () => undefined });
  for (const name of ['platform', 'tenants/acme', 'tenants/globex']) {
    const { manifest, files } = await readBundleFolder(join(REPOSITORY, 'policies', name));
    await push({ manifest, files });
  }
  const policies = readPolicies('test/decisions/initech').map(({ path, text }) => [path, text] as const);
  await push({ manifest: { layer: 'tenant:initech', version: '1' }, files: Object.fromEntries(policies) });
  const lines = readWorld().entities.map(entity => JSON.stringify(entity));
  const imported = await call('POST', '/v1/directory/import', lines.join('\n'), 'application/x-ndjson');
  const progress = await imported.text();
  if (!progress.includes('"state":"done"')) throw new Error(`the world was not imported: ${progress}`);
});

afterAll(async () => {
  await service.close();
  rmSync(folder, { recursive: true });
});

async function push(bundle: unknown): Promise<void> {
  const answer = await call('POST', '/v1/bundles?activate=true', JSON.stringify(bundle));
  if (answer.status !== 201) throw new Error(`a bundle was refused: ${await answer.text()}`);
}

function call(method: string, path: string, body?: string, type = 'application/json'): Promise<Response> {
  return fetch(`${service.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${ADMIN_KEY}`,
      ...(body === undefined ? {} : { 'content-type': type }),
    },
    ...(body === undefined ? {} : { body }),
  });
}

describe('over HTTP', () => {
  test.each(cases)('$title', async one => {
    now = one.now;
    const answer = await call('POST', '/decide', JSON.stringify(one.request));
    const body: unknown = await answer.json();
    expect({ status: answer.status, body }).toMatchObject({ status: 200 });
    const decision = decisionSchema.parse(body);
    expect(observe(decision, one.expect)).toEqual(expected(one.expect));
    expect(decision.evaluatedAt).toBe(new Date(one.now).toISOString());
    expect(decision.requestId).toBe(one.request.requestId);

    const read = await call('GET', `/v1/decisions/${decision.decisionId}`);
    const entry = entrySchema.parse(await read.json());
    const { decisionId, obligations, revision, evaluatedAt } = decision;
    expect(entry).toMatchObject({ decisionId, obligations, revision, evaluatedAt, ...sayable(decision) });
    expect(entry.log.index).toBe(decision.log.index);
  });

  test('a batch answers as its requests alone do, in their order', async () => {
    const batch = cases.filter(one => one.now === cases[0]?.now && one.request.requestId === undefined);
    now = batch[0]?.now ?? now;
    const some = batch.slice(0, 100);
    const answer = await call(
      'POST',
      '/decide/batch',
      JSON.stringify({ requests: some.map(one => one.request) }),
    );
    const { decisions } = z.object({ decisions: z.array(decisionSchema) }).parse(await answer.json());
    expect(decisions.map((decision, at) => observe(decision, some[at]?.expect ?? failNoCase()))).toEqual(
      some.map(one => expected(one.expect)),
    );
  });
});

function failNoCase(): never {
  throw new Error('more decisions than requests');
}
