/** Gateways that forward the key of the caller: it proves its owner, and reaches no further than it was made for. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { startTestService, type TestService } from '../service.ts';
import { ask, chatOf } from './asking.ts';

const PROFILES: readonly PepProfileInput[] = [
  { name: 'bearer', kind: 'envoy', body: 'whole', dialects: ['openai'], identity: { mode: 'verify' } },
  {
    name: 'bare',
    kind: 'envoy',
    body: 'whole',
    dialects: ['openai'],
    ip: 'x-client-ip',
    identity: { mode: 'verify', header: 'x-api-key' },
  },
];
let service: TestService;
let pep: string;
beforeAll(async () => {
  service = await startTestService({
    filled: true,
    env: { DURAMEN_PEP_PROFILES: JSON.stringify(PROFILES) },
  });
  pep = await service.makeKey(['pep']);
});
afterAll(() => service.stop());

async function make(change: object = {}): Promise<string> {
  const body = {
    owner: { type: 'User', id: 'acme/alice' },
    expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
    ...change,
  };
  const reply = await service.call('POST', '/v1/caller-keys', { body });
  return z.object({ key: z.string() }).parse(reply.json).key;
}

async function codeOf(
  profile: string,
  headers: Record<string, string>,
  model = 'support-llm',
): Promise<string | undefined> {
  const reply = await ask(service.url, {
    path: `/ext-authz/${profile}/v1/chat/completions`,
    headers: { 'x-duramen-key': pep, 'content-type': 'application/json', ...headers },
    body: chatOf(model),
  });
  return reply.headers['x-duramen-reason'];
}

describe('a key', () => {
  test('in `Authorization` proves its owner', async () => {
    expect(await codeOf('bearer', { authorization: `Bearer ${await make()}` })).toBe('POLICY_ALLOW');
  });

  test('in a header of its own needs no scheme, and takes one', async () => {
    const key = await make();
    expect(await codeOf('bare', { 'x-api-key': key })).toBe('POLICY_ALLOW');
    expect(await codeOf('bare', { 'x-api-key': `Bearer ${key}` })).toBe('POLICY_ALLOW');
  });

  test('that is wrong, or only looks like one, proves nobody', async () => {
    const key = await make();
    for (const text of [
      `${key.slice(0, -1)}_`,
      key.slice(0, -1),
      'dmc_',
      `dmn_${key.slice(4)}`,
      `x ${key}`,
      '',
    ]) {
      expect(await codeOf('bare', { 'x-api-key': text })).toBe('UNAUTHENTICATED');
    }
  });

  test('reaches the models, actions and networks that it was made for', async () => {
    const key = await make({ scopes: [{ models: ['acme/support-llm'] }], networks: ['10.0.0.0/8'] });
    const from = (ip: string) => ({ 'x-api-key': key, 'x-client-ip': ip });
    expect(await codeOf('bare', from('10.0.0.1'))).toBe('POLICY_ALLOW');
    expect(await codeOf('bare', from('11.0.0.1'))).toBe('CREDENTIAL_SCOPE');
    expect(await codeOf('bare', { 'x-api-key': key })).toBe('CREDENTIAL_SCOPE');
    const other = await make({ scopes: [{ models: ['acme/embed'] }] });
    expect(await codeOf('bare', { 'x-api-key': other })).toBe('CREDENTIAL_SCOPE');
    const training = await make({ scopes: [{ actions: ['Lifecycle'] }] });
    expect(await codeOf('bare', { 'x-api-key': training })).toBe('CREDENTIAL_SCOPE');
  });
});
