/**
 * A real service with TLS on a real socket, authorities whose certificates are made at run time, and a client that
 * says exactly what it sends.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { Clock } from '../../../src/domain/clock.ts';
import { type RunningService, startService } from '../../../src/main.ts';
import {
  type ForgedAuthority,
  type Issued,
  makeAuthority,
  SERVER_AUTH,
} from '../../identity/certificates/forge.ts';
import { ADMIN_KEY, configFor, shippedBundle } from '../service.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: unknown;
  /** The client's own. */
  readonly client?: Pick<Issued, 'pem' | 'key'> | undefined;
  /** Keeps connections between questions; without it each has one of its own. */
  readonly agent?: Agent;
  readonly tls?: SecureContextOptions;
}

export interface Scene {
  readonly folder: string;
  readonly running: RunningService;
  readonly logLines: string[];
  /** Of the server's certificate. */
  readonly serverCa: ForgedAuthority;
  ask(question?: Ask): Promise<Answer>;
  /** Asks the management listener. */
  manage(question?: Ask): Promise<Answer>;
  /** Writes a file of the scene, as a tool that rotates certificates does. */
  write(name: string, text: string): void;
  stop(): Promise<void>;
}

export interface SceneOptions {
  /** Files below the folder before the start. */
  readonly files?: Readonly<Record<string, string>>;
  /** `{folder}` stands for the folder of the files. */
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
}

/** A certificate for 127.0.0.1 in the name `localhost`. */
export function serverCertificate(authority: ForgedAuthority, notAfter?: number): Issued {
  return authority.issue({
    subject: 'CN=localhost',
    dns: ['localhost'],
    extendedKeyUsage: [SERVER_AUTH],
    ...(notAfter === undefined ? {} : { notAfter }),
  });
}

export async function startScene({ files = {}, env = {}, clock }: SceneOptions): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-mtls-'));
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const serverCa = makeAuthority({ subject: 'CN=server ca' });
  const server = serverCertificate(serverCa);
  for (const [name, text] of Object.entries({
    'server.pem': server.pem,
    'server.key': server.key,
    ...files,
  })) {
    write(name, text);
  }
  const data = join(folder, 'data');
  mkdirSync(data);
  const placed = Object.entries({
    DURAMEN_TLS_CERTIFICATE: '{folder}/server.pem',
    DURAMEN_TLS_KEY: '{folder}/server.key',
    ...env,
  }).map(([name, value]) => [name, value.replaceAll('{folder}', folder)] as const);
  const logLines: string[] = [];
  const running = await startService(configFor(data, Object.fromEntries(placed)), {
    writeLog: line => void logLines.push(line),
    ...(clock === undefined ? {} : { clock }),
  });
  return {
    folder,
    running,
    logLines,
    serverCa,
    ask: (question = {}) => send(running.url, serverCa, question),
    manage: (question = {}) => send(running.adminUrl, serverCa, question),
    write,
    async stop() {
      await running.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The shipped bundles and the demo directory, by the admin key. */
export async function fillScene(scene: Pick<Scene, 'manage'>): Promise<void> {
  const post = async (path: string, body: unknown, type: string): Promise<void> => {
    const headers = { 'content-type': type };
    const { status, text } = await scene.manage({ method: 'POST', path, key: ADMIN_KEY, body, headers });
    if (status >= 300 || text.includes('"state":"failed"')) throw new Error(`${path}: ${text}`);
  };
  for (const name of ['platform', 'tenants/acme', 'tenants/globex']) {
    await post('/v1/bundles?activate=true', await shippedBundle(name), 'application/json');
  }
  const directory = join(import.meta.dirname, '../../../src/demo/directory.ndjson');
  await post('/v1/directory/import', readFileSync(directory, 'utf8'), 'application/x-ndjson');
}

/** One request; rejects when there is no answer. */
export function send(url: string, serverCa: Pick<Issued, 'pem'>, question: Ask): Promise<Answer> {
  const { method = 'GET', path = '/v1/status', headers = {}, body, client, agent, tls = {} } = question;
  const key = 'key' in question ? question.key : undefined;
  const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const outgoing = request(
      `${url}${path}`,
      {
        method,
        agent: agent ?? false,
        servername: 'localhost',
        ca: serverCa.pem,
        ...(client === undefined ? {} : { cert: client.pem, key: client.key }),
        ...tls,
        headers: {
          ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
          ...(text === undefined ? {} : { 'content-type': 'application/json' }),
          ...Object.fromEntries(
            Object.entries(headers).map(([name, value]) => [
              name,
              typeof value === 'string' ? value : [...value],
            ]),
          ),
        },
      },
      incoming => {
        let answer = '';
        incoming.setEncoding('utf8').on('data', (part: string) => {
          answer += part;
        });
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text: answer }),
        );
        incoming.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(text);
  });
}

/** The log entries of failed authentications, by cause. */
export async function failureCauses(scene: Pick<Scene, 'ask'>): Promise<readonly string[]> {
  const { text } = await scene.ask({ path: '/v1/events?kind=auth.failed&limit=1000', key: ADMIN_KEY });
  return [...text.matchAll(/"cause":"([a-z_]+)"/g)].map(([, cause = '']) => cause);
}

/** Polls until it holds; fails after thirty seconds. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 30_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it never came true: ${what}`);
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}
