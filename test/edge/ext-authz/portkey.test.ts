/**
 * Portkey's gateway from npm, asking by its webhook, in front of an upstream of OpenAI's shape. Invariants: what is
 * denied does not reach the upstream, also when the service is down or slow, if the guardrail says so; and where Portkey
 * lets pass what was not decided, that is known here.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import type { TestService } from '../service.ts';
import { ask, chatOf, type GatewayReply, startWithProfiles } from './asking.ts';
import { endProcess, startSilentService, startUpstream, type Upstream } from './gateway-process.ts';
import { freePort, waitForPort } from '../../loopback-port.ts';

const PROFILE: PepProfileInput = {
  name: 'ai',
  kind: 'portkey',
  identity: { mode: 'assert', principal: 'user', principalPrefix: 'acme/', method: 'api_key', assurance: 1 },
  dialects: ['openai', 'anthropic'],
};
const CHAT = '/v1/chat/completions';
/** How long Portkey waits for the webhook, in milliseconds: no busy machine takes so long. */
const PATIENCE_MS = 20_000;
/** Portkey's status for a request that a guardrail denied. */
const DENIED = 446;
/** Its status for one that passed although a guardrail failed. */
const PASSED_ALL_THE_SAME = 246;

let service: TestService;
let upstream: Upstream;
let portkey: ChildProcess;
let url: string;
let key: string;
let said = '';

beforeAll(async () => {
  service = await startWithProfiles([PROFILE]);
  key = await service.makeKey(['pep']);
  upstream = await startUpstream();
  const port = await freePort();
  const program = createRequire(import.meta.url).resolve('@portkey-ai/gateway/build/start-server.js');
  portkey = spawn(
    process.execPath,
    ['--import', join(import.meta.dirname, 'portkey-preload.ts'), program, '--headless', `--port=${port}`],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env['PATH'], NODE_ENV: 'production' } },
  );
  portkey.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  await waitForPort(port, portkey);
  url = `http://127.0.0.1:${port}`;
});
afterAll(async () => {
  await endProcess(portkey);
  await upstream.stop();
  await service.stop();
});

interface Guardrail {
  readonly webhook?: string;
  readonly key?: string;
  /** Portkey's names: what a failed check does, and whether an error is a failed check. */
  readonly deny?: boolean;
  readonly failOnError?: boolean;
  readonly patienceMs?: number;
}

interface Elsewhere {
  readonly path?: string;
  readonly user?: string;
  /** Of the upstream. */
  readonly host?: string;
}

/** A request through Portkey, whose configuration is that of a proxy in front of it. */
async function send(
  body: string,
  {
    webhook = `${service.url}/hooks/portkey/ai`,
    key: own = key,
    deny = true,
    failOnError = true,
    patienceMs = PATIENCE_MS,
  }: Guardrail = {},
  { path = CHAT, user = 'alice', host = `http://127.0.0.1:${upstream.port}` }: Elsewhere = {},
): Promise<GatewayReply> {
  const config = {
    provider: 'openai',
    api_key: 'upstream-key',
    custom_host: `${host}/v1`,
    before_request_hooks: [
      {
        type: 'guardrail',
        id: 'duramen',
        deny,
        checks: [
          {
            id: 'default.webhook',
            parameters: {
              webhookURL: webhook,
              headers: { 'x-duramen-key': own },
              timeout: patienceMs,
              failOnError,
            },
          },
        ],
      },
    ],
  };
  upstream.take();
  return ask(url, {
    path,
    headers: {
      'content-type': 'application/json',
      'x-portkey-config': JSON.stringify(config),
      'x-portkey-metadata': JSON.stringify({ user }),
    },
    body,
  });
}

const reached = (): number => upstream.take().length;

describe('through Portkey', () => {
  test('what is allowed passes, and streams stay streams', async () => {
    expect((await send(chatOf('support-llm'))).status).toBe(200);
    expect(upstream.take()).toMatchObject([{ method: 'POST', url: '/v1/chat/completions' }]);
    const streamed = await send(chatOf('support-llm', { stream: true }));
    expect(streamed).toMatchObject({ status: 200, headers: { 'content-type': 'text/event-stream' } });
    expect(streamed.text).toContain('data: [DONE]');
    expect(reached()).toBe(1);
  });

  test('embeddings are decided as embeddings', async () => {
    const reply = await send('{"model":"embed","input":"hi"}', {}, { path: '/v1/embeddings' });
    expect([reply.status, reached()]).toEqual([200, 1]);
  });

  test.each([
    ['a model of another tenant', chatOf('globex/demand'), 'alice'],
    ['a model that nobody registered', chatOf('nope'), 'alice'],
    ['a caller that nobody knows', chatOf('support-llm'), 'nobody'],
    ['no caller', chatOf('support-llm'), ''],
    [
      'a tool that is not registered',
      chatOf('support-llm', { tools: [{ type: 'function', function: { name: 'wipe' } }] }),
      'alice',
    ],
    ['fallbacks', chatOf('support-llm', { fallbacks: ['globex/demand'] }), 'alice'],
  ])('%s does not pass', async (_, body, user) => {
    const reply = await send(body, {}, { user });
    expect([reply.status, reached()]).toEqual([DENIED, 0]);
    expect(reply.text).toContain('hooks_failed');
    // the reason is among the results of the checks
    expect(reply.text).toMatch(/"code":"[A-Z_]+"/);
  });

  test('nothing passes while the service is down, slow, or does not know the key', async () => {
    const silent = await startSilentService();
    for (const guardrail of [
      { webhook: `http://127.0.0.1:${await freePort()}/hooks/portkey/ai` },
      { webhook: `http://127.0.0.1:${silent.port}/hooks/portkey/ai`, patienceMs: 300 },
      { key: 'dmn_not_a_key' },
      { webhook: `${service.url}/hooks/portkey/none` },
    ]) {
      const reply = await send(chatOf('support-llm'), guardrail);
      expect([reply.status, reached()]).toEqual([DENIED, 0]);
    }
    await silent.stop();
  });

  test('a body with a key twice is decided as the one that Portkey sends on', async () => {
    // Portkey parses and writes bodies anew: the upstream sees the last of the two, and so does the webhook
    const twice = '{"model":"globex/demand","model":"support-llm","messages":[]}';
    expect((await send(twice)).status).toBe(200);
    expect(upstream.take().map(({ body }) => body)).toEqual(['{"model":"support-llm","messages":[]}']);
    const other = await send('{"model":"support-llm","model":"globex/demand","messages":[]}');
    expect([other.status, reached()]).toEqual([DENIED, 0]);
  });

  test('no call goes but to the upstream and to the service', async () => {
    expect(said).not.toContain('outside call');
    // and one would be seen
    await send(chatOf('support-llm'), {}, { host: 'http://models.example.com' });
    await expect.poll(() => said).toContain('outside call: models.example.com');
  });
});

describe('Portkey by itself', () => {
  test('lets pass when the service is down, unless the guardrail has `failOnError`', async () => {
    const webhook = `http://127.0.0.1:${await freePort()}/hooks/portkey/ai`;
    const reply = await send(chatOf('support-llm'), { webhook, failOnError: false });
    expect([reply.status, reached()]).toEqual([200, 1]);
  });

  test('lets pass what was denied, unless the guardrail has `deny`', async () => {
    const reply = await send(chatOf('globex/demand'), { deny: false });
    expect([reply.status, reached()]).toEqual([PASSED_ALL_THE_SAME, 1]);
  });

  test('asks nobody about requests for which it runs no hooks', async () => {
    const reply = await send('{"model":"globex/demand","input":"hi"}', {}, { path: '/v1/responses' });
    expect([reply.status, reached()]).toEqual([200, 1]);
  });
});
