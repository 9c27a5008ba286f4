/** Real gateways with the configurations of deploy/, and the upstream that they protect. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, waitForPort } from '../../loopback-port.ts';

const DEPLOY = join(import.meta.dirname, '../../../deploy');
/** Where Debian keeps nginx's modules. */
const NGINX_MODULES = '/usr/lib/nginx/modules';

/** What the upstream got. */
export interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Upstream {
  readonly port: number;
  /** Requests since the last call. */
  take(): Received[];
  /** Streams stop after their first event until the returned function is called. */
  hold(): () => void;
  stop(): Promise<void>;
}

/** Answers in the OpenAI shape, and streams when it is asked to. */
export async function startUpstream(): Promise<Upstream> {
  let received: Received[] = [];
  let held: Promise<void> = Promise.resolve();
  const server = createServer((incoming, outgoing) => {
    void readText(incoming).then(body => {
      const headers = Object.fromEntries(
        Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
      );
      received.push({ method: incoming.method ?? '', url: incoming.url ?? '', headers, body });
      if (!body.includes('"stream":true')) {
        outgoing.writeHead(200, { 'content-type': 'application/json' });
        outgoing.end('{"object":"chat.completion","choices":[]}');
        return;
      }
      outgoing.writeHead(200, { 'content-type': 'text/event-stream' });
      outgoing.write('data: {"object":"chat.completion.chunk"}\n\n');
      void held.then(() => outgoing.end('data: [DONE]\n\n'));
    });
  });
  const port = await listenAnywhere(server);
  const take = (): Received[] => {
    const taken = received;
    received = [];
    return taken;
  };
  const hold = (): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    held = promise;
    return resolve;
  };
  return { port, take, hold, stop: () => closeServer(server) };
}

/** A service that accepts questions and never answers them. */
export async function startSilentService(): Promise<{ readonly port: number; stop(): Promise<void> }> {
  const server = createServer(() => undefined);
  const port = await listenAnywhere(server);
  return { port, stop: () => closeServer(server) };
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) if (chunk instanceof Buffer) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function listenAnywhere(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(portOf(server.address())));
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise(resolve => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function portOf(address: ReturnType<Server['address']>): number {
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export type GatewayName = 'nginx' | 'njs' | 'caddy' | 'haproxy';

const PROGRAMS: Readonly<Record<GatewayName, string>> = {
  nginx: 'nginx',
  njs: 'nginx',
  caddy: 'caddy',
  haproxy: 'haproxy',
};

/** Whether a gateway can be run here. What cannot is said, and under CI an error. */
export function runsHere(name: GatewayName): boolean {
  const reason = missing(name);
  if (reason === undefined) return true;
  if (process.env['CI'] === 'true') throw new Error(`${name} must be tested here: ${reason}`);
  process.stderr.write(`skipped the tests of ${name}: ${reason}\n`);
  return false;
}

/** Why a gateway cannot be run here; undefined when it can. */
function missing(name: GatewayName): string | undefined {
  const program = PROGRAMS[name];
  const found = spawnSync(program, [program === 'haproxy' ? '-v' : program === 'nginx' ? '-v' : 'version']);
  if (found.error !== undefined) return `${program} is not installed`;
  if (name !== 'njs') return undefined;
  const module = spawnSync('test', ['-f', join(NGINX_MODULES, 'ngx_http_js_module.so')]);
  return module.status === 0 ? undefined : 'the njs module of nginx is not installed';
}

export interface GatewayProcess {
  readonly url: string;
  stop(): Promise<void>;
}

/** Who the callers are, by what they send in `Authorization`. */
const CALLERS = [
  ['Bearer alice-token', 'acme/alice'],
  ['Bearer bob-token', 'acme/bob'],
  ['Bearer erin-token', 'globex/erin'],
] as const;

export interface GatewaySettings {
  readonly pdpPort: number;
  readonly upstreamPort: number;
  readonly key: string;
  /** Folder with certificates: the configuration is the one with mutual TLS, and there is no key. */
  readonly certificates?: string;
  /** Makes another configuration of it, such as one with a fault. */
  readonly change?: (configuration: string) => string;
  /**
   * Gives the service up when the shipped configuration does, after a second. Without it the gateway waits longer than a
   * busy machine takes for an answer.
   */
  readonly isImpatient?: boolean;
}

/** How long gateways wait, as their files say it, and how long they wait here. */
const WAITS: readonly (readonly [shipped: RegExp, here: string])[] = [
  [/(proxy_(?:connect|read)_timeout) \S+;/g, '$1 30s;'],
  [/((?:dial|response_header)_timeout) \S+/g, '$1 30s'],
  [/(tune\.lua\.session-timeout) \S+/g, '$1 60s'],
  [/(listen duramen\n[^]*?timeout server) \S+/, '$1 30s'],
  [/(timeout) = 1000\b/, '$1 = 30000'],
];

function withPatience(configuration: string): string {
  return WAITS.reduce((text, [shipped, here]) => text.replace(shipped, here), configuration);
}

/** Starts a gateway with its configuration of deploy/, and waits until it listens. */
export async function startGateway(name: GatewayName, settings: GatewaySettings): Promise<GatewayProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'duramen-gateway-'));
  mkdirSync(join(folder, 'run'));
  const port = await freePort();
  const [callers, script] = [join(folder, 'callers'), join(folder, 'duramen.lua')];
  writeFileSync(callers, CALLERS.map(([header, id]) => callerLine(name, header, id)).join('\n') + '\n');
  const { certificates, change = same => same } = settings;
  const waits = settings.isImpatient === true ? (text: string): string => text : withPatience;
  writeFileSync(script, waits(read('haproxy/duramen.lua')));
  const askPort = certificates === undefined ? settings.pdpPort : await freePort();
  const values: Readonly<Record<string, string>> = {
    ASK: `127.0.0.1:${askPort}`,
    CERTIFICATES: certificates ?? '',
    LISTEN: `127.0.0.1:${port}`,
    HOST: '127.0.0.1',
    PORT: String(port),
    PDP: `127.0.0.1:${settings.pdpPort}`,
    UPSTREAM: `127.0.0.1:${settings.upstreamPort}`,
    KEY: settings.key,
    CALLERS: callers,
    RUN: join(folder, 'run'),
    MODULES: NGINX_MODULES,
    SCRIPT: name === 'haproxy' ? script : join(DEPLOY, 'nginx'),
  };
  const file = join(folder, name === 'caddy' ? 'Caddyfile' : 'gateway.conf');
  const template = certificates === undefined ? read(TEMPLATES[name]) : withCertificates(name);
  writeFileSync(
    file,
    waits(change(template)).replaceAll(/@([A-Z]+)@/g, (_, key: string) => values[key] ?? `@${key}@`),
  );
  const child = spawn(PROGRAMS[name], argumentsOf(name, file, folder), {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      DURAMEN_URL: `http://127.0.0.1:${askPort}/ext-authz/haproxy`,
      ...(certificates === undefined ? { DURAMEN_KEY: settings.key } : {}),
    },
  });
  const said: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString('utf8')));
  const stop = async (): Promise<void> => {
    await endProcess(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitForPort(port, child);
  } catch (error) {
    await stop();
    throw new Error(`${name} did not start: ${said.join('')}`, { cause: error });
  }
  return { url: `${certificates === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, stop };
}

function read(file: string): string {
  return readFileSync(join(DEPLOY, file), 'utf8');
}

/** The configuration with mutual TLS on both sides. Of nginx it is the other one, changed as its files say. */
function withCertificates(name: GatewayName): string {
  if (name === 'caddy') return read('caddy/mtls.Caddyfile');
  if (name === 'haproxy') return read('haproxy/mtls.cfg');
  return [
    ['proxy_pass http://duramen/', `${read('nginx/ask-over-tls.conf')}\n      proxy_pass https://duramen/`],
    ['proxy_set_header X-Duramen-Key @KEY@;', ''],
    ['listen @LISTEN@;', `listen @LISTEN@ ssl;\n${read('nginx/client-certificates.conf')}`],
  ].reduce((text, [from = '', to = '']) => {
    if (text.split(from).length !== 2)
      throw new Error(`\`${from}\` does not stand once in the configuration`);
    return text.replace(from, () => to);
  }, read(TEMPLATES[name]));
}

const TEMPLATES: Readonly<Record<GatewayName, string>> = {
  nginx: 'nginx/auth-request.conf',
  njs: 'nginx/njs.conf',
  caddy: 'caddy/Caddyfile',
  haproxy: 'haproxy/haproxy.cfg',
};

function callerLine(name: GatewayName, header: string, id: string): string {
  // HAProxy separates key and value at the first space: `Bearer` stays a word of its own
  if (name === 'haproxy') return `${header.replace(' ', '_')} ${id}`;
  return name === 'caddy' ? `"${header}" ${id}` : `"${header}" ${id};`;
}

function argumentsOf(name: GatewayName, file: string, folder: string): string[] {
  if (name === 'caddy') return ['run', '--config', file, '--adapter', 'caddyfile'];
  if (name === 'haproxy') return ['-f', file];
  return ['-c', file, '-p', folder, '-e', 'stderr'];
}

export function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise(resolve => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}
