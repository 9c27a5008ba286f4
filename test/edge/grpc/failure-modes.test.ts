/**
 * A gateway by Envoy's rules, over gRPC and over HTTP, failing closed and failing open (`failure_mode_allow`). Invariant:
 * closed, nothing passes but an allow; open, what the service answered as a deny does not pass either.
 */
import { Client, credentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { ASSERTS, ask, chatOf } from '../ext-authz/asking.ts';
import { startSilentService } from '../ext-authz/gateway-process.ts';
import { callWith, checkRequest, envoyJudges } from './envoy.ts';
import { ALICE, CHAT, type CheckScene, startCheckScene } from './scene.ts';
import { freePort } from '../../loopback-port.ts';

const OPENAI: Pick<PepProfileInput, 'kind' | 'identity' | 'dialects' | 'body'> = {
  kind: 'envoy',
  identity: ASSERTS,
  dialects: ['openai'],
  body: 'whole',
};
/** How long the gateway waits, in milliseconds. */
const PATIENCE_MS = 300;

interface Asked {
  readonly body: string;
  readonly profile?: string;
  readonly key?: string;
  /** Where the service is said to be. */
  readonly to?: { readonly grpc: string; readonly http: string };
}

let scene: CheckScene;
beforeAll(async () => {
  scene = await startCheckScene(
    [
      { ...OPENAI, name: 'envoy' },
      { ...OPENAI, name: 'for-acme', authentication: { kind: 'key', keyIds: ['none'] } },
    ],
    { DURAMEN_GRPC_MAX_MESSAGE_BYTES: String(1024 * 1024) },
  );
});
afterAll(() => scene.stop());

async function passesGrpc(
  { body, profile = 'envoy', key = scene.key, to }: Asked,
  isOpen: boolean,
): Promise<boolean> {
  const client = to === undefined ? scene.client : new Client(to.grpc, credentials.createInsecure());
  const extensions = { duramen_profile: profile };
  const request = checkRequest({ path: CHAT, headers: ALICE, body, extensions });
  const patience = { deadlineMs: to === undefined ? 20_000 : PATIENCE_MS };
  const ended = await callWith(client, request, { authorization: `Bearer ${key}` }, patience);
  if (to !== undefined) client.close();
  return envoyJudges(ended, ALICE, isOpen).passes;
}

/** Over HTTP: exactly 200 allows; a 5xx, or no answer in time, is an error; everything else denies. */
async function passesHttp(
  { body, profile = 'envoy', key = scene.key, to }: Asked,
  isOpen: boolean,
): Promise<boolean> {
  const path = `/ext-authz/${profile}${CHAT}`;
  const headers = [...ALICE, ['x-duramen-key', key]] as const;
  const asked = ask(to?.http ?? scene.service.url, { path, headers, body }).then(
    ({ status }) => status,
    () => undefined,
  );
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), to === undefined ? 20_000 : PATIENCE_MS);
  const status = await Promise.race([asked, late]);
  clearTimeout(timer);
  if (status === undefined || status >= 500) return isOpen;
  return status === 200;
}

const ALLOWED = chatOf('acme/support-llm');
const DENIED = chatOf('globex/demand');

describe.each([
  ['gRPC', passesGrpc],
  ['HTTP', passesHttp],
] as const)('over %s', (name, passes) => {
  test.each([
    ['an allow', () => ({ body: ALLOWED }), true, true],
    ['a deny', () => ({ body: DENIED }), false, false],
    ['a deny of a body that nobody can read', () => ({ body: '{' }), false, false],
    ['a deny of a body with two models', () => ({ body: '{"model":"a","model":"b"}' }), false, false],
  ] satisfies [string, () => Asked, boolean, boolean][])('%s', async (_, asked, closed, open) => {
    expect([await passes(asked(), false), await passes(asked(), true)]).toEqual([closed, open]);
  });

  test('a gateway that is not known is an error over gRPC, and a deny over HTTP', async () => {
    for (const asked of [
      { body: ALLOWED, key: 'dmn_no_key' },
      { body: ALLOWED, profile: 'for-acme' },
      { body: ALLOWED, profile: 'nobody' },
    ]) {
      expect(await passes(asked, false)).toBe(false);
      expect(await passes(asked, true)).toBe(name === 'gRPC');
    }
  });

  test('a message above the limit of gRPC is an error there, a body above that of the profile a deny', async () => {
    const asked = { body: chatOf('globex/demand', { user: 'x'.repeat(2 * 1024 * 1024) }) };
    expect(await passes(asked, false)).toBe(false);
    expect(await passes(asked, true)).toBe(name === 'gRPC');
  });

  test('a service that is down or silent lets pass only what fails open', async () => {
    const silent = await startSilentService();
    const down = await freePort();
    for (const port of [down, silent.port]) {
      const to = { grpc: `127.0.0.1:${port}`, http: `http://127.0.0.1:${port}` };
      expect([await passes({ body: ALLOWED, to }, false), await passes({ body: ALLOWED, to }, true)]).toEqual(
        [false, true],
      );
    }
    await silent.stop();
  });
});
