/** No key leaves: keys go in by every way, and everything that comes out, and every file, is searched for them. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { ALLOWED, startTestService } from './service.ts';

const madeSchema = z.looseObject({ id: z.string(), key: z.string() });

test('keys of callers are in no answer but the one that made them, no log line, metric, entry or file', async () => {
  const profile = {
    name: 'edge',
    kind: 'envoy',
    body: 'whole',
    dialects: ['openai'],
    identity: { mode: 'verify' },
  };
  const service = await startTestService({
    filled: true,
    env: { DURAMEN_LOG_LEVEL: 'trace', DURAMEN_PEP_PROFILES: JSON.stringify([profile]) },
  });
  const pep = await service.makeKey(['pep']);
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  const owner = { type: 'User', id: 'acme/alice' };
  const made = [];
  for (let count = 0; count < 3; count += 1) {
    const reply = await service.call('POST', '/v1/caller-keys', {
      body: { owner, expiresAt },
      headers: { 'idempotency-key': `made-${count}` },
    });
    made.push(madeSchema.parse(reply.json));
  }
  const [one, two, three] = made.map(({ key }) => key);
  if (one === undefined || two === undefined || three === undefined) throw new Error('no keys');
  const rotated = await service.call('POST', `/v1/caller-keys/${made[0]?.id}/rotate`, {
    body: {},
    headers: { 'idempotency-key': 'rotated' },
  });
  const four = madeSchema.parse(rotated.json).key;

  const answers: string[] = [];
  const send = async (method: string, path: string, body?: unknown, key: string | undefined = pep) => {
    const reply = await service.call(method, path, { key, ...(body === undefined ? {} : { body }) });
    answers.push(reply.text, JSON.stringify([...reply.headers]));
    return reply;
  };
  const { action, resource } = ALLOWED;
  const asked = (credential: unknown) => ({ action, resource, credential });
  const good = { kind: 'api_key', key: one };
  const admin = { key: 'edge-tests-admin-key-0123456789abcdefgh' }.key;
  expect((await send('POST', '/decide', asked(good))).text).toContain('"decision":"allow"');
  await send('POST', '/decide', asked({ kind: 'api_key', key: `${two.slice(0, -1)}_` }));
  await send('POST', '/decide', asked({ kind: 'jwt', token: two }));
  await send('POST', '/decide', asked({ ...good, kind: two }));
  await send('POST', '/decide', asked({ ...good, token: two }));
  await send('POST', '/decide', asked({ kind: 'api_key', key: [two] }));
  await send('POST', '/decide', asked(two));
  await send('POST', '/decide', { ...asked(good), requestId: 'r', context: { unknown: two } });
  await send('POST', '/decide', `{"credential":{"kind":"api_key","key":"${two}"`);
  await send('POST', '/decide/batch', {
    requests: [asked(good), asked({ kind: 'api_key', key: two.slice(1) })],
  });
  // where keys of gateways belong
  await send('POST', '/decide', asked(good), two);
  await send('GET', '/v1/caller-keys', undefined, two);
  await send('POST', '/v1/self/caller-keys/list', { credential: good });
  await send('POST', '/v1/self/caller-keys/revoke', { credential: { kind: 'api_key', key: two }, id: two });
  await send('POST', '/v1/caller-keys', { owner, expiresAt, description: three }, admin);
  await send('POST', '/v1/caller-keys/revoke', { owner, reason: `leaked ${three}` }, admin);
  await send(
    'POST',
    '/v1/caller-keys/leaks',
    [{ token: three, url: `https://x/?${three}`, type: 't' }],
    admin,
  );
  await send('GET', `/v1/caller-keys?cursor=${Buffer.from('x').toString('base64url')}`, undefined, admin);
  for (const path of [
    '/metrics',
    '/v1/decisions?limit=1000',
    '/v1/events?limit=1000',
    '/v1/caller-keys',
    '/v1/status',
  ]) {
    await send('GET', path, undefined, admin);
  }
  const lines = service.logLines.join('');
  await service.running.close();
  const files = readdirSync(service.folder, { recursive: true, withFileTypes: true })
    .filter(file => file.isFile())
    .map(file => readFileSync(join(file.parentPath, file.name), 'latin1'));
  expect(files.length).toBeGreaterThan(3);
  await service.stop();

  const secrets = [one, two, three, four].map(key => key.slice(21, 45));
  const digests = [one, two, four].flatMap(key =>
    (['hex', 'base64', 'base64url'] as const).map(form =>
      createHash('sha256').update(key).digest(form).slice(0, 24),
    ),
  );
  for (const mark of [...secrets, ...digests]) {
    for (const [where, texts] of Object.entries({ answers, lines: [lines], files })) {
      const leaks = texts.filter(text => text.includes(mark)).map(text => text.slice(0, 200));
      expect({ mark, where, leaks }).toEqual({ mark, where, leaks: [] });
    }
  }
});
