/** The connection to Redis: what it refuses to count in, what becomes of commands, and that it tells no secrets. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { RedisConnection, type RedisOptionsOfService } from '../../../src/store/redis/redis-connection.ts';
import { type RedisProcess, startRedis, withoutRedis } from './redis-process.ts';

const SECRET = 'a-password-that-nobody-may-see';
/** For what comes by itself: soon, but on a busy machine not within the second that vitest waits. */
const PATIENCE = { timeout: 20_000 };

const open: RedisConnection[] = [];
const started: RedisProcess[] = [];

function connect(port: number, more: Partial<RedisOptionsOfService> = {}): RedisConnection {
  const options = { nodes: [{ host: '127.0.0.1', port }], topology: 'single', ...more } as const;
  const connection = new RedisConnection(options, { onLost: () => undefined });
  open.push(connection);
  return connection;
}

async function start(...options: string[]): Promise<RedisProcess> {
  const redis = await startRedis(options);
  started.push(redis);
  return redis;
}

async function errorOf(action: () => Promise<unknown>): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

/** Everything that a log line could be made of. */
function everythingOf(error: unknown): string {
  const own = typeof error === 'object' && error !== null ? Object.getOwnPropertyNames(error) : [];
  const values = own.map(name => JSON.stringify(Object.getOwnPropertyDescriptor(error, name)?.value));
  return [String(error), JSON.stringify(error), ...values].join('\n');
}

describe.skipIf(withoutRedis('the connection to Redis'))('a connection', () => {
  afterEach(async () => {
    for (const connection of open.splice(0)) connection.close();
    for (const redis of started.splice(0)) await redis.stop();
  });

  test('counts in a primary that evicts nothing', async () => {
    const { port } = await start('--maxmemory', '64mb', '--maxmemory-policy', 'noeviction');
    await expect(connect(port).verify()).resolves.toBeUndefined();
  });

  test('refuses one that forgets keys when memory is short', async () => {
    const { port } = await start('--maxmemory', '64mb', '--maxmemory-policy', 'volatile-lru');
    await expect(connect(port).verify()).rejects.toThrow('set it to `noeviction`');
  });

  test('refuses a replica', async () => {
    const primary = await start();
    const replica = await start('--replicaof', '127.0.0.1', String(primary.port));
    await expect(connect(replica.port).verify()).rejects.toThrow('a replica, which takes no writes');
  });

  test('says that nobody listens', async () => {
    const { port } = await start();
    await started.splice(0)[0]?.stop();
    await expect(connect(port).verify()).rejects.toThrow('ECONNREFUSED');
  });

  test('runs scripts that a restart forgot', async () => {
    const redis = await start();
    const connection = connect(redis.port);
    await connection.verify();
    const script = await connection.load('return { ARGV[1], #KEYS }');
    expect(await connection.run(script, ['{t}:a'], ['first'])).toEqual(['first', 1]);
    await redis.restart();
    await expect.poll(() => connection.verify().then(() => 'ready', String), PATIENCE).toBe('ready');
    expect(await connection.run(script, [], ['second'])).toEqual(['second', 0]);
  });

  test('tells that the connection is lost, and why', async () => {
    const redis = await start();
    const lost: string[] = [];
    const connection = new RedisConnection(
      { nodes: [{ host: '127.0.0.1', port: redis.port }], topology: 'single' },
      { onLost: reason => lost.push(reason) },
    );
    open.push(connection);
    await connection.verify();
    await redis.kill();
    await expect.poll(() => lost.length, PATIENCE).toBeGreaterThan(0);
    await expect(connection.verify()).rejects.toThrow(/connection|ECONN/);
  });

  test('never sends a command again whose answer was lost', async () => {
    const redis = await start();
    const connection = connect(redis.port);
    await connection.verify();
    const script = await connection.load("return redis.call('INCR', KEYS[1])");
    redis.freeze();
    const answer = errorOf(() => connection.run(script, ['{t}:n'], []));
    await redis.restart();
    expect(String(await answer)).not.toContain('{t}:n');
    await expect.poll(() => connection.verify().then(() => 'ready', String), PATIENCE).toBe('ready');
    expect(await connection.read('{t}:n')).toBe(null);
  });
});

describe.skipIf(withoutRedis('the password of Redis'))('the password', () => {
  let redis: RedisProcess;
  beforeAll(async () => {
    redis = await startRedis(['--requirepass', 'another-password']);
  });
  afterAll(() => redis.stop());
  afterEach(() => {
    for (const connection of open.splice(0)) connection.close();
  });

  test.each([
    ['that is wrong', { password: SECRET }],
    ['of a user that does not exist', { username: 'nobody', password: SECRET }],
  ])('%s is in no error', async (_name, credentials) => {
    const error = await errorOf(() => connect(redis.port, credentials).verify());
    expect(String(error)).toMatch(/WRONGPASS|NOAUTH/);
    expect(everythingOf(error)).not.toContain(SECRET);
  });

  test('that is right opens the connection', async () => {
    await expect(connect(redis.port, { password: 'another-password' }).verify()).resolves.toBeUndefined();
  });

  test('that is missing is asked for', async () => {
    const error = await errorOf(() => connect(redis.port).verify());
    expect(String(error)).toContain('NOAUTH');
  });
});
