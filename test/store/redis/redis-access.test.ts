/** A Redis that trusts nobody: the rights that docs/limits.md names are enough, and TLS is as strict as it says. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ForgedAuthority, makeAuthority } from '../../identity/certificates/forge.ts';
import { serverCertificate } from '../../edge/mtls/scene.ts';
import {
  chargeTo,
  decisionId,
  LimitCaller,
  leaseRule,
  quotaRule,
  rateRule,
  windowRule,
} from '../../conformance/limit-scene.ts';
import { openRedisLimits, plainClient } from './redis-limits.ts';
import { type RedisProcess, startRedis, withoutRedis } from './redis-process.ts';

const PASSWORD = 'a-password-for-limits';
const skipped = withoutRedis('the access to Redis');

/** The rights as the document gives them. */
function documentedRights(): string[] {
  const text = readFileSync(join(import.meta.dirname, '../../../docs/limits.md'), 'utf8');
  const line = /^ACL SETUSER duramen (.*)$/m.exec(text)?.[1];
  if (line === undefined) throw new Error('docs/limits.md names no rights');
  return line.replace('<password>', PASSWORD).split(' ');
}

describe.skipIf(skipped)('a user of the ACL', () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await startRedis();
    const client = plainClient(redis);
    await client.call('ACL', ['SETUSER', 'duramen', ...documentedRights()]);
    client.disconnect();
  });
  afterAll(() => redis.stop());

  test('with the documented rights can count, settle, extend, merge and reset', async () => {
    const credentials = { username: 'duramen', password: PASSWORD };
    const store = await openRedisLimits(redis, 'duramen', 'redis', credentials);
    const charges = [
      chargeTo(windowRule({ name: 'platform/w' })),
      chargeTo(rateRule({ name: 'platform/r', burst: 9 })),
      chargeTo(quotaRule({ name: 'platform/q' })),
      chargeTo(quotaRule({ name: 'platform/rolling', period: { rollingMs: 60_000 } })),
      chargeTo(leaseRule({ name: 'platform/c', leaseMs: 1 })),
    ];
    const caller = new LimitCaller(store);
    expect(await caller.admitted(2, 0, ...charges)).toBeGreaterThan(0);
    expect((await store.extend(caller.lastId, 0, 5)).state).toBe('extended');
    expect((await caller.settle(caller.lastId, 0, 3)).state).toBe('settled');
    await store.merge([{ decisionId: decisionId(77), now: Date.now(), holdMs: 1, charges }]);
    // its hold and its lease have ended
    await new Promise(resolve => setTimeout(resolve, 5));
    expect(await caller.admitted(1, 0, ...charges)).toBe(1);
    for (const { key } of charges) await store.reset(key, 0);
    expect(await caller.numbers(0, chargeTo(windowRule({ name: 'platform/w' })))).toEqual([0, 0, 10]);
    await store.close();
  });

  test('can do nothing else with them', async () => {
    const client = plainClient(redis);
    await client.auth('duramen', PASSWORD);
    for (const [command, ...args] of [
      ['GET', 'another-key'],
      ['SET', '{other}:c:key', '1'],
      ['KEYS', '*'],
      ['FLUSHALL'],
      ['CONFIG', 'GET', '*'],
      ['EVAL', "return redis.call('GET', 'another-key')", '0'],
    ]) {
      await expect(client.call(command ?? '', args)).rejects.toThrow(/NOPERM|can't access/);
    }
    client.disconnect();
  });
});

describe.skipIf(skipped)('TLS', () => {
  let folder: string;
  let redis: RedisProcess;
  let authority: ForgedAuthority;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'duramen-redis-tls-'));
    authority = makeAuthority({ subject: 'CN=redis ca' });
    const own = serverCertificate(authority);
    const files = { 'ca.pem': authority.pem, 'own.pem': own.pem, 'own.key': own.key };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    redis = await startRedis([
      '--port',
      '0',
      '--tls-port',
      '@PORT@',
      '--tls-ca-cert-file',
      join(folder, 'ca.pem'),
      '--tls-cert-file',
      join(folder, 'own.pem'),
      '--tls-key-file',
      join(folder, 'own.key'),
      '--tls-auth-clients',
      'yes',
    ]);
  });
  afterAll(async () => {
    await redis.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Its certificate names it so. */
  const byName = () => [{ host: 'localhost', port: redis.port }];

  test('with a certificate that both sides trust', async () => {
    const { pem, key } = authority.issue({ subject: 'CN=duramen' });
    const store = await openRedisLimits(redis, 'duramen', 'redis', {
      nodes: byName(),
      tls: { ca: authority.pem, cert: pem, key },
    });
    expect(await new LimitCaller(store).admitted(2, 0, chargeTo(windowRule({ limit: 1 })))).toBe(1);
    await store.close();
  });

  test('refuses a server that it does not know, and is refused without a certificate', async () => {
    const { pem, key } = authority.issue({ subject: 'CN=duramen' });
    const stranger = makeAuthority({ subject: 'CN=another ca' });
    await expect(
      openRedisLimits(redis, 'duramen', 'redis', {
        nodes: byName(),
        tls: { ca: stranger.pem, cert: pem, key },
      }),
    ).rejects.toThrow(/certificate/);
    await expect(
      openRedisLimits(redis, 'duramen', 'redis', { nodes: byName(), tls: { ca: authority.pem } }),
    ).rejects.toThrow(/certificate|closed|SSL|ECONNRESET/);
  });
});
