/** Stores of limits on a redis-server that a test started. */
import { Redis } from 'ioredis';
import { RedisLimitStore } from '../../../src/store/redis/limit-store.ts';
import { RedisConnection, type RedisOptionsOfService } from '../../../src/store/redis/redis-connection.ts';
import { type RedisProcess, startRedis } from './redis-process.ts';

/** @param time see `RedisLimitOptions` */
export async function openRedisLimits(
  redis: Pick<RedisProcess, 'port'>,
  prefix: string,
  time: 'redis' | 'request',
  more: Partial<RedisOptionsOfService> = {},
): Promise<RedisLimitStore> {
  const connection = new RedisConnection(
    { nodes: [{ host: '127.0.0.1', port: redis.port }], topology: 'single', ...more },
    { onLost: () => undefined },
  );
  const store = new RedisLimitStore({ connection, prefix, time });
  await store.verify();
  return store;
}

/** A cluster of one node that has every slot, and refuses what a cluster refuses. */
export async function startCluster(): Promise<RedisProcess> {
  const node = await startRedis(['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1']);
  const client = plainClient(node);
  try {
    await client.cluster('ADDSLOTSRANGE', 0, 16_383);
    const deadline = Date.now() + 20_000;
    while (!(await client.cluster('INFO')).includes('cluster_state:ok')) {
      if (Date.now() > deadline) throw new Error('the cluster does not come up');
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  } catch (error) {
    await node.stop();
    throw error;
  } finally {
    client.disconnect();
  }
  return node;
}

/** A client to look into a server with. */
export function plainClient({ port }: Pick<RedisProcess, 'port'>): Redis {
  const client = new Redis({ host: '127.0.0.1', port, protocol: 2 });
  // who waits for an answer is told; the driver would write the rest to the console
  client.on('error', () => undefined);
  return client;
}
