/**
 * `duramen doctor` against real gateways: it finds nothing wrong with the configurations of deploy/, and finds each fault
 * that is put into them.
 */
import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { runCli } from '../../src/cli/run.ts';
import type { PepProfileInput } from '../../src/domain/pep-profile.ts';
import { ASSERTS, startWithProfiles } from '../edge/ext-authz/asking.ts';
import {
  type GatewayName,
  runsHere,
  startGateway,
  startUpstream,
} from '../edge/ext-authz/gateway-process.ts';
import type { TestService } from '../edge/service.ts';
import { recordingTerminal } from './recording-terminal.ts';
import { freePort } from '../loopback-port.ts';

const ORIGINAL = {
  kind: 'headers',
  method: 'x-original-method',
  uri: 'x-original-uri',
  host: 'x-original-host',
} as const;
const identity = ASSERTS;
const PROFILES: readonly PepProfileInput[] = [
  {
    name: 'nginx',
    kind: 'nginx',
    source: { ...ORIGINAL, normalizedUri: 'x-normalized-uri' },
    identity,
    dialects: ['torchserve', 'kserve'],
  },
  {
    name: 'njs',
    kind: 'nginx',
    body: 'whole',
    bodyLength: 'x-original-content-length',
    source: { ...ORIGINAL, normalizedUri: 'x-normalized-uri' },
    identity,
    dialects: ['openai', 'torchserve'],
  },
  { name: 'caddy', kind: 'caddy', identity, dialects: ['torchserve', 'kserve'] },
  {
    name: 'haproxy',
    kind: 'haproxy',
    body: 'whole',
    bodyLength: 'x-original-content-length',
    identity,
    dialects: ['openai', 'torchserve'],
  },
];
const SECRET = 'Bearer alice-token';
/** How long an answer is waited for: HAProxy tries a service that is down for some three seconds, and answers then. */
const PATIENCE_SECONDS = '15';
/** Port 1 is reserved, and closed on every test machine. */
const NOBODY = 'http://127.0.0.1:1';
const BLIND = ['--path', '/predictions/acme%2Fsupport-llm', '--body', '{}'];
const SEEING = ['--model', 'acme/support-llm'];

const finding = z.object({
  id: z.string(),
  outcome: z.enum(['pass', 'fail', 'inconclusive']),
  seen: z.string(),
  meaning: z.string(),
  fix: z.string().optional(),
});
const reportSchema = z.object({
  requests: z.number(),
  summary: z.object({ pass: z.number(), fail: z.number(), inconclusive: z.number() }),
  findings: z.array(finding),
});

let service: TestService;
let key: string;
beforeAll(async () => {
  service = await startWithProfiles(PROFILES);
  key = await service.makeKey(['pep']);
});
afterAll(() => service.stop());

interface Asked {
  readonly name: GatewayName;
  readonly change?: (configuration: string) => string;
  readonly authorization?: string | undefined;
  readonly args?: readonly string[];
  /** Where the models are; absent: the doctor stands in for them. */
  readonly upstreamPort?: number;
  readonly pdpPort?: number;
}

async function examine({ name, change, authorization, args, ...ports }: Asked) {
  const { upstreamPort = await freePort(), pdpPort = Number(new URL(service.url).port) } = ports;
  const gateway = await startGateway(name, {
    pdpPort,
    upstreamPort,
    key,
    ...(change === undefined ? {} : { change }),
  });
  try {
    const terminal = recordingTerminal({
      env: { DURAMEN_DOCTOR_AUTHORIZATION: authorization ?? SECRET },
    });
    const given = args ?? [...(name === 'njs' || name === 'haproxy' ? SEEING : BLIND)];
    const upstream = ports.upstreamPort === undefined ? ['--as-upstream', `127.0.0.1:${upstreamPort}`] : [];
    const code = await runCli(
      ['doctor', gateway.url, '--timeout', PATIENCE_SECONDS, '-o', 'json', ...given, ...upstream],
      terminal,
      '0',
    );
    const report = reportSchema.parse(JSON.parse(terminal.stdout()));
    return { code, report, said: terminal.stdout() + terminal.stderr() };
  } finally {
    await gateway.stop();
  }
}

const failed = ({ findings }: z.output<typeof reportSchema>): string[] =>
  findings
    .filter(({ outcome }) => outcome === 'fail')
    .map(({ id, seen, meaning }) => `${id}: ${seen}: ${meaning}`);

/** Replaces what must stand in the configuration. */
function replaced(from: string, to: string): (configuration: string) => string {
  return configuration => {
    if (!configuration.includes(from)) throw new Error(`\`${from}\` does not stand in the configuration`);
    return configuration.replaceAll(from, to);
  };
}

/** What HAProxy says when there is no decision. */
const UNDECIDED = `  http-request return status 503 content-type application/json string '{"error":{"code":"UNAVAILABLE"}}' if !{ var(txn.duramen_allow) -m bool }`;
const RELAY = `
const net = require('node:net');
const server = net.createServer(one => {
  const other = net.connect(Number(process.argv[1]), '127.0.0.1');
  one.pipe(other).pipe(one);
  for (const socket of [one, other]) socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
`;

/** A process between a gateway and the service, which can be stopped. */
async function startRelay(pdpPort: number): Promise<{ readonly port: number; readonly pid: number }> {
  const child = spawn(process.execPath, ['-e', RELAY, String(pdpPort)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(() => void child.kill());
  const port = await new Promise<number>(resolve => {
    child.stdout.once('data', (text: Buffer) => resolve(Number(text.toString())));
  });
  return { port, pid: child.pid ?? 0 };
}

const GATEWAYS: readonly GatewayName[] = ['nginx', 'njs', 'caddy', 'haproxy'];
for (const name of GATEWAYS) {
  describe.skipIf(!runsHere(name)).each([name])('%s', gateway => {
    test('as it is shipped has no fault, and the doctor tells no credential', async () => {
      const { code, report, said } = await examine({ name: gateway });
      expect(failed(report)).toEqual([]);
      expect(code).toBe(0);
      expect(report.summary.inconclusive).toBeLessThan(4);
      expect(report.requests).toBeLessThan(300);
      expect(said).not.toContain('alice-token');
      expect(said).not.toContain(key);
    });
  });
}

describe('a fault is found:', () => {
  const BYPASS = 'location / { proxy_pass http://@UPSTREAM@; }\n    location /predictions/ {';
  test.runIf(runsHere('nginx')).each([
    ['a name that clients write', replaced('$caller;', '$http_x_user;'), ['spoof-x-user']],
    ['nobody is asked', replaced('auth_request /_duramen;', ''), ['no-credential', 'path-traps', 'upgrade']],
    ['one path alone is protected', replaced('location / {', BYPASS), ['path-traps', 'other-paths']],
    ['another path is forwarded', replaced('http://@UPSTREAM@;', 'http://@UPSTREAM@/;'), ['control']],
    [
      'everybody is Alice',
      replaced('default "";', 'default acme/alice;'),
      ['no-credential', 'wrong-credential', 'path-traps'],
    ],
  ] as const)('nginx: %s', async (_what, change, expected) => {
    const { code, report } = await examine({ name: 'nginx', change });
    expect(code).toBe(5);
    expect(failed(report).map(line => line.split(':')[0])).toEqual(expect.arrayContaining([...expected]));
    for (const { outcome, fix = '' } of report.findings) expect(fix !== '' || outcome === 'pass').toBe(true);
  });

  test.runIf(runsHere('caddy'))('Caddy: a name that clients write', async () => {
    const change = replaced('header_up X-User {caller}', '');
    const { code, report } = await examine({ name: 'caddy', change });
    expect([code, failed(report).map(line => line.split(':')[0])]).toEqual([
      5,
      expect.arrayContaining(['spoof-x-user', 'spoof-beside-credential']),
    ]);
  });

  test.runIf(runsHere('haproxy')).each([
    ['closed, it is', (same: string) => same, 0, 'pass'],
    ['open, it is not', replaced(UNDECIDED, ''), 5, 'fail'],
  ] as const)('HAProxy: while Duramen is down: %s', async (_what, change, expected, outcome) => {
    const relay = await startRelay(Number(new URL(service.url).port));
    const stop = ['--stop-pdp', `kill ${relay.pid}`, '--start-pdp', 'true'];
    const { code, report } = await examine({
      name: 'haproxy',
      change,
      pdpPort: relay.port,
      args: [...SEEING, ...stop],
    });
    expect([code, report.findings.at(-1)]).toEqual([
      expected,
      expect.objectContaining({ id: 'pdp-down', outcome }),
    ]);
  });
});

describe.skipIf(!runsHere('haproxy'))('without standing in for the models', () => {
  test('the answers of Duramen prove enough', async () => {
    const upstream = await startUpstream();
    const { code, report } = await examine({ name: 'haproxy', upstreamPort: upstream.port });
    await upstream.stop();
    expect([code, failed(report)]).toEqual([0, []]);
    expect(report.summary.inconclusive).toBeLessThan(6);
  });

  test('and without a caller, what needs one is said not to have been tried', async () => {
    const asked = { name: 'haproxy', authorization: '', upstreamPort: await freePort() } as const;
    const { code, report } = await examine(asked);
    expect([code, failed(report)]).toEqual([0, []]);
    const untried = report.findings.filter(({ meaning }) => meaning.includes('not tried'));
    expect(untried.map(({ id, outcome }) => [id, outcome])).toContainEqual(['control', 'inconclusive']);
    expect((await examine({ ...asked, args: [...SEEING, '--strict'] })).code).toBe(5);
  });
});

test.each([
  ['no address', ['llm.example']],
  ['an address with a path', ['http://127.0.0.1:1/v1']],
  ['an address with a password', ['http://me:secret@127.0.0.1:1']],
  ['a path that is none', ['http://127.0.0.1:1', '--path', 'v1']],
  ['a header that is none', ['http://127.0.0.1:1', '--identity-header', 'a b']],
  ['an address to stand in at that is none', ['http://127.0.0.1:1', '--as-upstream', 'x']],
])('%s is a usage error', async (_, args) => {
  const terminal = recordingTerminal();
  expect(await runCli(['doctor', ...args], terminal, '0')).toBe(64);
  expect(terminal.stderr()).not.toContain('secret');
});

test('where nobody answers, nothing is proven', async () => {
  const terminal = recordingTerminal({ env: { DURAMEN_DOCTOR_AUTHORIZATION: SECRET } });
  expect(await runCli(['doctor', NOBODY], terminal, '0')).toBe(5);
  expect(terminal.stdout()).toMatch(/^fail +control /m);
  expect(terminal.stdout()).not.toMatch(/^pass /m);
  expect(terminal.stderr()).toContain('fix control: see that the gateway runs');
});

test('without a caller, the hint is how to give one', async () => {
  const terminal = recordingTerminal();
  await runCli(['doctor', NOBODY], terminal, '0');
  expect(terminal.stderr()).toContain('hint: set DURAMEN_DOCTOR_AUTHORIZATION');
});
