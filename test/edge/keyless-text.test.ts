/** Free text of the administration is stored and logged for good: none of it takes a key, of a gateway or of a caller. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { problemOf, startTestService, type TestService } from './service.ts';

const KEYS = [
  'dmn_0123456789abcdef_0123456789012345678901234567890123456789012345678',
  'dmc_0123456789abcdef_0123456789012345678901234567890123456789012345678',
];
const ALICE = { type: 'User', id: 'acme/alice' };
const DIGEST = `sha256:${'0'.repeat(64)}`;

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.stop());

test.each([
  ['/v1/keys', { roles: ['pep'] }, 'description'],
  ['/v1/revocations', { issuer: 'sso', kind: 'token', value: 'jti' }, 'reason'],
  ['/v1/revocations', { issuer: 'sso', kind: 'token' }, 'value'],
  [`/v1/bundles/${DIGEST}/activate`, {}, 'reason'],
  ['/v1/layers/platform/rollback', {}, 'reason'],
  ['/v1/caller-keys/revoke', { owner: ALICE }, 'reason'],
  ['/v1/penalties/lift', { principal: ALICE }, 'reason'],
  ['/v1/audit/erase', { principal: ALICE }, 'reason'],
  ['/v1/audit/erase', { principal: ALICE, reason: 'ticket 4711' }, 'legalBasis'],
])('%s with %j takes no key as `%s`', async (path, body, member) => {
  for (const key of KEYS) {
    const reply = await service.call('POST', path, { body: { ...body, [member]: `instead of ${key}` } });
    expect(reply.status).toBe(400);
    expect(problemOf(reply).errors?.map(({ pointer }) => pointer)).toEqual([`/${member}`]);
    expect(reply.text).toContain('must not contain a key');
    expect(reply.text).not.toContain(key);
  }
});

test.each(['version', 'description'])('a bundle has no key as its `%s`', async member => {
  for (const key of KEYS) {
    const manifest = { layer: 'platform', version: '1', [member]: `instead of ${key}` };
    const reply = await service.call('POST', '/v1/bundles', { body: { manifest, files: {} } });
    expect(reply.status).toBe(422);
    const pointers = problemOf(reply).errors?.map(({ pointer }) => pointer);
    expect(pointers).toContain(`/manifest/${member}`);
    expect(reply.text).not.toContain(key);
    expect((await service.call('GET', '/v1/events?kind=bundle.reject')).text).not.toContain(key);
  }
});
