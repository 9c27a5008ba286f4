/**
 * A real service on a real socket over real SQLite, filled with the shipped bundles and the demo directory,
 * and a small client that keeps status, headers and body together.
 */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { readBundleFolder } from '../../src/cli/bundle-folder.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { loadConfig } from '../../src/config.ts';
import type { Clock } from '../../src/domain/clock.ts';
import { type RunningService, startService } from '../../src/main.ts';
import { FILLED_FOLDERS } from '../filled-folders.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
/** As long as one instance is around, what threads of services compile of cedar-wasm is kept for the next service. */
const ENGINE = new CedarWasm();
export const ADMIN_KEY = 'edge-tests-admin-key-0123456789abcdefgh';

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; a text that is none fails the test. */
  readonly json: unknown;
}

export interface CallOptions {
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as it is; other values are sent as JSON. */
  readonly body?: unknown;
  readonly type?: string;
}

export interface TestService {
  readonly url: string;
  readonly folder: string;
  readonly running: RunningService;
  /** Lines of the service's log. */
  readonly logLines: string[];
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  /** A key with these roles, and tenants when there are any. */
  makeKey(roles: readonly string[], tenants?: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

export interface TestServiceOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  /** Loads bundles and directory; otherwise the store is empty. */
  readonly filled?: boolean;
  /** Uses this folder and leaves it where it is. */
  readonly folder?: string;
}

export function configFor(folder: string, env: Readonly<Record<string, string>> = {}) {
  return loadConfig({
    env: {
      DURAMEN_DATA_DIR: folder,
      DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
      DURAMEN_LOG_REQUEST_SAMPLE_RATE: '1',
      ...env,
    },
    readFile: path => readFileSync(path, 'utf8'),
  }).config;
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'duramen-edge-'));
}

export async function startTestService(options: TestServiceOptions = {}): Promise<TestService> {
  const folder = options.folder ?? temporaryFolder();
  if (options.filled === true) ENGINE.parsePolicy('permit (principal, action, resource);');
  const isFilled = options.filled === true && (await copyFilledFolder(folder, options));
  return await startOver(folder, options, options.filled === true && !isFilled);
}

async function startOver(
  folder: string,
  options: TestServiceOptions,
  mustFill: boolean,
): Promise<TestService> {
  const logLines: string[] = [];
  const running = await startService(configFor(folder, options.env), {
    writeLog: line => void logLines.push(line),
    ...(options.clock === undefined ? {} : { clock: options.clock }),
  });
  const call = (method: string, path: string, given: CallOptions = {}) =>
    request(running.url, method, path, given);
  const service: TestService = {
    url: running.url,
    folder,
    running,
    logLines,
    call,
    async makeKey(roles, tenants) {
      const reply = await call('POST', '/v1/keys', {
        body: { roles, ...(tenants === undefined ? {} : { tenants }) },
      });
      return z.object({ key: z.string() }).parse(reply.json).key;
    },
    async stop() {
      await running.close();
      if (options.folder === undefined) rmSync(folder, { recursive: true });
    },
  };
  if (mustFill) await fill(service);
  return service;
}

/** Settings under which the log or its secrets begin otherwise than in the folder that services are copied from. */
const OWN_BEGINNING = /^DURAMEN_(?:LOG|PRIVACY|ANCHOR|BOOTSTRAP)/;

/**
 * Puts a data folder into `folder` that was filled once for all tests of this run: a start over it takes a third of
 * the time. False where the service has to be filled itself: outside of a run, over a folder of the test, before the
 * time at which the common one was filled, or with settings that concern its beginning.
 */
async function copyFilledFolder(folder: string, options: TestServiceOptions): Promise<boolean> {
  const common = process.env[FILLED_FOLDERS];
  if (common === undefined || options.folder !== undefined) return false;
  if (Object.keys(options.env ?? {}).some(name => OWN_BEGINNING.test(name))) return false;
  const filled = join(common, 'filled');
  if (!existsSync(filled)) await makeFilledFolder(common, filled);
  if (options.clock !== undefined && options.clock.now() < statSync(filled).mtimeMs) return false;
  cpSync(filled, folder, { recursive: true, preserveTimestamps: true });
  return true;
}

/** Two files of tests may do this at once; the first one to be ready is kept. */
async function makeFilledFolder(common: string, filled: string): Promise<void> {
  const folder = mkdtempSync(join(common, 'filling-'));
  const service = await startOver(folder, { folder }, true);
  await service.stop();
  const now = new Date();
  utimesSync(folder, now, now);
  try {
    renameSync(folder, filled);
  } catch (error) {
    // a folder that holds something is not replaced
    if (!existsSync(filled)) throw error;
  }
}

async function request(url: string, method: string, path: string, given: CallOptions): Promise<Reply> {
  const { body, headers = {} } = given;
  const key = 'key' in given ? given.key : ADMIN_KEY;
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': given.type ?? 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: raw(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    get json() {
      const parsed: unknown = JSON.parse(text);
      return parsed;
    },
  };
}

function raw(body: unknown): string | Uint8Array<ArrayBuffer> {
  if (typeof body === 'string') return body;
  return body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body);
}

/** A bundle of the repository in the JSON form. */
export async function shippedBundle(
  name: string,
): Promise<{ manifest: unknown; files: Record<string, string> }> {
  const { manifest, files } = await readBundleFolder(join(REPOSITORY, 'policies', name));
  return { manifest, files: { ...files } };
}

async function fill(service: TestService): Promise<void> {
  for (const name of ['platform', 'tenants/acme', 'tenants/globex']) {
    const { status, text } = await service.call('POST', '/v1/bundles?activate=true', {
      body: await shippedBundle(name),
    });
    if (status !== 201) throw new Error(`bundle ${name}: ${status} ${text}`);
  }
  const directory = readFileSync(join(REPOSITORY, 'src/demo/directory.ndjson'), 'utf8');
  const { text } = await service.call('POST', '/v1/directory/import', {
    body: directory,
    type: 'application/x-ndjson',
  });
  if (!text.includes('"state":"done"')) throw new Error(`the directory was not imported: ${text}`);
}

/** A request that the shipped policies allow. */
export const ALLOWED = {
  principal: { type: 'User', id: 'acme/alice' },
  action: 'generate',
  resource: { type: 'Model', id: 'acme/support-llm' },
} as const;

const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.string(),
  detail: z.string(),
  errors: z.array(
    z.object({ pointer: z.string().optional(), message: z.string(), hint: z.string().optional() }),
  ),
  requestId: z.string(),
});

/** The problem of a reply, whose form is checked. */
export function problemOf(reply: Reply): z.output<typeof problem> {
  return problem.parse(reply.json);
}
