/** Issuers at the start of the service: unsafe settings stop it, an issuer that is down does not. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADMIN_KEY, ALLOWED, configFor, startTestService } from '../edge/service.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-issuers-'));
  writeFileSync(join(folder, 'empty'), '\n');
});
afterAll(() => rmSync(folder, { recursive: true }));

const BASE = { name: 'sso', issuer: 'https://idp.example', audiences: ['api'], tenants: ['acme'] };
const env = (...issuers: readonly object[]) => ({ DURAMEN_IDENTITY_ISSUERS: JSON.stringify(issuers) });

describe('the service does not start with', () => {
  test.each<[string, () => readonly object[], string]>([
    [
      'an issuer over plain http',
      () => [{ ...BASE, issuer: 'http://idp.example' }],
      '`issuer` must use https',
    ],
    [
      'two issuers of one name',
      () => [BASE, { ...BASE, issuer: 'https://o.example' }],
      'another issuer has this name',
    ],
    [
      'a secret that is not there',
      () => [{ ...BASE, introspection: introspection('missing') }],
      'missing`: ENOENT',
    ],
    [
      'an empty secret',
      () => [{ ...BASE, introspection: introspection('empty') }],
      'it is empty or too long',
    ],
  ])('%s', async (_, issuers, message) => {
    await expect(startTestService({ env: env(...issuers()) })).rejects.toThrow(message);
  });

  test.each<[string, string, string]>([
    ['an unknown field', JSON.stringify([{ ...BASE, verify: false }]), '`identity.issuers[0]`'],
    [
      'a symmetric algorithm',
      JSON.stringify([{ ...BASE, algorithms: ['HS256'] }]),
      '`identity.issuers[0].algorithms[0]`',
    ],
    ['a text that is no JSON', '[{', '`identity.issuers`'],
    ['a list of names', 'sso,other', '`identity.issuers[0]`'],
  ])('%s, and says where', (_, text, place) => {
    expect(() => configFor(folder, { DURAMEN_IDENTITY_ISSUERS: text })).toThrow(place);
  });
});

test('an issuer that is down leaves the service up: its callers are refused, others are served', async () => {
  const issuer = { ...BASE, issuer: 'http://127.0.0.1:9', privateHosts: ['127.0.0.1:9'] };
  const service = await startTestService({ filled: true, env: env(issuer) });
  const key = await service.makeKey(['pep']);
  const reply = await service.call('POST', '/decide', { key, body: ALLOWED });
  expect(reply.text).toContain('"decision":"allow"');
  // they are fetched while the service starts, and nothing waits for them
  await expect.poll(() => service.logLines.join('')).toContain('the keys of an issuer cannot be fetched');
  expect(service.logLines.join('')).not.toContain(ADMIN_KEY);
  await service.stop();
});

function introspection(secret: string) {
  return {
    url: 'https://idp.example/introspect',
    clientId: 'duramen',
    clientSecretFile: join(folder, secret),
  };
}
