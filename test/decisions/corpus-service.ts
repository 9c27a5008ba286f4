/** The service as it is wired, with the world of the corpus in it, at the time that a case wants. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { readBundleFolder } from '../../src/cli/bundle-folder.ts';
import { loadConfig } from '../../src/config.ts';
import { type RunningService, startService } from '../../src/main.ts';
import { readWorld } from './corpus.ts';
import { readPolicies } from './scene.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const ADMIN_KEY = 'golden-corpus-admin-key-0123456789abcdef';

export interface CorpusService {
  readonly running: RunningService;
  /** The time that the service sees from here on, in milliseconds since the epoch. */
  setTime(now: number): void;
  /** A call with the admin key, or with another one. */
  call(method: string, path: string, body?: string, options?: CallOptions): Promise<Response>;
  /** A key of a gateway. */
  makeKey(mayAssert: boolean): Promise<string>;
  stop(): Promise<void>;
}

export interface CallOptions {
  readonly type?: string;
  readonly key?: string;
}

/** Bundles pushed, the world imported. */
export async function startCorpusService(env: Readonly<Record<string, string>> = {}): Promise<CorpusService> {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-corpus-'));
  let now = Date.parse('2026-03-10T12:00:00Z');
  const { config } = loadConfig({
    env: {
      DURAMEN_DATA_DIR: folder,
      DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
      DURAMEN_LOG_LEVEL: 'silent',
      ...env,
    },
    readFile: path => {
      throw new Error(`no configuration file, so nobody reads ${path}`);
    },
  });
  const clock = { now: () => now, monotonic: () => performance.now() };
  const running = await startService(config, { clock, writeLog: () => undefined });
  const call: CorpusService['call'] = (method, path, body, { type = 'application/json', key } = {}) =>
    fetch(`${running.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${key ?? ADMIN_KEY}`,
        ...(body === undefined ? {} : { 'content-type': type }),
      },
      ...(body === undefined ? {} : { body }),
    });
  await fill(call);
  return {
    running,
    setTime(wanted) {
      now = wanted;
    },
    call,
    async makeKey(mayAssert) {
      const answer = await call('POST', '/v1/keys', JSON.stringify({ roles: ['pep'], mayAssert }));
      return z.object({ key: z.string() }).parse(await answer.json()).key;
    },
    async stop() {
      await running.close();
      rmSync(folder, { recursive: true });
    },
  };
}

async function fill(call: CorpusService['call']): Promise<void> {
  const push = async (bundle: unknown): Promise<void> => {
    const answer = await call('POST', '/v1/bundles?activate=true', JSON.stringify(bundle));
    if (answer.status !== 201) throw new Error(`a bundle was refused: ${await answer.text()}`);
  };
  for (const name of ['platform', 'tenants/acme', 'tenants/globex']) {
    const { manifest, files } = await readBundleFolder(join(REPOSITORY, 'policies', name));
    await push({ manifest, files });
  }
  const policies = readPolicies('test/decisions/initech').map(({ path, text }) => [path, text] as const);
  await push({ manifest: { layer: 'tenant:initech', version: '1' }, files: Object.fromEntries(policies) });
  const lines = readWorld().entities.map(entity => JSON.stringify(entity));
  const imported = await call('POST', '/v1/directory/import', lines.join('\n'), {
    type: 'application/x-ndjson',
  });
  const progress = await imported.text();
  if (!progress.includes('"state":"done"')) throw new Error(`the world was not imported: ${progress}`);
}
