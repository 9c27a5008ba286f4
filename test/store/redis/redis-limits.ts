/** A store of limits on a redis-server that a test started. */
import { RedisConnection } from '../../../src/store/redis/redis-connection.ts';
import { RedisLimitStore } from '../../../src/store/redis/limit-store.ts';
import type { RedisProcess } from './redis-process.ts';

/** @param time see `RedisLimitOptions` */
export async function openRedisLimits(
  redis: Pick<RedisProcess, 'port'>,
  prefix: string,
  time: 'redis' | 'request',
): Promise<RedisLimitStore> {
  const connection = new RedisConnection(
    { nodes: [{ host: '127.0.0.1', port: redis.port }], topology: 'single' },
    { onLost: () => undefined },
  );
  const store = new RedisLimitStore({ connection, prefix, time });
  await store.verify();
  return store;
}
