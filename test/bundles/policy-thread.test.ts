/** The policy worker dies, hangs, is flooded: every call settles, and the next one finds a fresh worker. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { CHUNK_POLICIES, CompilerClient, type PolicyWorkerApi } from '../../src/bundles/compiler-client.ts';
import type { BundleContent } from '../../src/bundles/pipeline.ts';
import { MAX_PENDING_CALLS, PolicyThread } from '../../src/bundles/policy-thread.ts';
import { failure, permit, SHIPPED_SCHEMA } from './pap.ts';

const SCRIPT = new URL('../../src/policy-worker.ts', import.meta.url);
const threads: PolicyThread<PolicyWorkerApi>[] = [];
afterEach(async () => {
  await Promise.all(threads.splice(0).map(thread => thread.close()));
});

interface Started {
  readonly thread: PolicyThread<PolicyWorkerApi>;
  readonly client: CompilerClient;
  readonly health: string[];
}

function start(script = SCRIPT, timeoutMs?: number): Started {
  const health: string[] = [];
  const thread = new PolicyThread<PolicyWorkerApi>({
    name: 'the policy compiler',
    script,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    onHealth: (healthy, detail) => health.push(`${healthy} ${detail}`),
  });
  threads.push(thread);
  const clock = { now: () => 0, monotonic: () => performance.now() };
  return {
    thread,
    health,
    client: new CompilerClient({
      checker: thread,
      builder: thread,
      clock,
      defaultSchemaText: SHIPPED_SCHEMA,
    }),
  };
}

function tenantBundle(policies: number, tenant = 'acme'): BundleContent {
  const texts = Array.from({ length: policies }, (_, n) => permit(`p${n}`, tenant));
  return {
    digest: `sha256:${String(policies).padStart(64, '0')}`,
    manifest: { layer: `tenant:${tenant}`, version: '1', description: '' },
    files: { 'policies/a.cedar': texts.join('') },
  };
}

describe('a policy worker', () => {
  test('that dies rejects what waits and is replaced for the next call', async () => {
    const { thread, client, health } = start();
    const schema = await client.schema(SHIPPED_SCHEMA);
    const waiting = client.build(tenantBundle(3), schema);
    await thread.start().terminate();
    expect((await failure(waiting)).code).toBe('NOT_READY');
    expect(thread.healthy).toBe(false);
    expect((await client.build(tenantBundle(3), schema)).index.size).toBe(3);
    expect(thread.healthy).toBe(true);
    expect(thread.generation).toBe(2);
    expect(health).toEqual([
      'false the policy compiler stopped: it ended',
      'true the policy compiler runs again',
    ]);
  });

  test('that died comes back by itself, so that readiness does', async () => {
    const { thread, client, health } = start();
    await client.schema(SHIPPED_SCHEMA);
    await thread.start().terminate();
    expect(thread.healthy).toBe(false);
    await vi.waitFor(() => expect(thread.healthy).toBe(true), { timeout: 20_000 });
    expect(health.at(-1)).toBe('true the policy compiler runs again');
    expect(thread.generation).toBe(2);
  });

  test('that was closed stays closed', async () => {
    const { thread, client, health } = start();
    await client.schema(SHIPPED_SCHEMA);
    await thread.close();
    expect(health).toEqual([]);
    expect((await failure(client.schema(SHIPPED_SCHEMA))).message).toBe('the policy compiler is closed');
  });

  test('that died is sent its companions again', async () => {
    const { thread, client } = start();
    const platform: BundleContent = {
      digest: `sha256:${'f'.repeat(64)}`,
      manifest: { layer: 'platform', version: '1', description: '' },
      files: { 'schema.cedarschema': SHIPPED_SCHEMA },
    };
    const job = {
      bundle: tenantBundle(1),
      schemaText: SHIPPED_SCHEMA,
      companions: [platform],
      runTests: true,
    };
    expect((await client.check(job)).policies).toBe(1);
    await thread.start().terminate();
    expect((await client.check(job)).policies).toBe(1);
  });

  test('that does not answer in time is ended, and its calls rejected', async () => {
    const silent = new URL('data:text/javascript,setInterval(()=>{},1000)');
    const { client, health } = start(silent, 50);
    expect((await failure(client.schema(SHIPPED_SCHEMA))).message).toBe(
      'the policy compiler stopped before it answered',
    );
    expect(health).toEqual(['false the policy compiler stopped: no answer within 50 ms']);
  });

  test('that cannot start rejects the call with its cause', async () => {
    const { client } = start(new URL('data:text/javascript,throw new Error("no wasm here")'));
    const error = await failure(client.schema(SHIPPED_SCHEMA));
    expect(error.code).toBe('NOT_READY');
    expect(error.cause).toMatchObject({ message: 'no wasm here' });
  });

  test('takes a bounded number of calls', async () => {
    const { thread } = start(new URL('data:text/javascript,setInterval(()=>{},1000)'));
    const calls = Array.from({ length: MAX_PENDING_CALLS }, () => failure(thread.call('schema', '')));
    expect((await failure(thread.call('schema', ''))).message).toBe(
      'the policy compiler has 256 calls waiting',
    );
    await thread.close();
    const codes = await Promise.all(calls);
    expect(codes.every(({ code }) => code === 'NOT_READY')).toBe(true);
    expect((await failure(thread.call('schema', ''))).message).toBe('the policy compiler is closed');
  });

  test('keeps the code, the problems and the place of a failure', async () => {
    const { client } = start();
    const error = await failure(client.schema('namespace AI {\n  entity User = { x: Strin };\n}'));
    expect(error.code).toBe('BUNDLE_INVALID');
    expect(error.problems[0]).toMatchObject({ file: 'schema.cedarschema' });
  });
});

describe('a layer that was built in slices', () => {
  test('is complete and in order, whatever the number of messages', async () => {
    const { client } = start();
    const schema = await client.schema(SHIPPED_SCHEMA);
    for (const size of [0, 1, CHUNK_POLICIES, CHUNK_POLICIES + 1, 3 * CHUNK_POLICIES + 7]) {
      const { index, sources, name } = await client.build(tenantBundle(size), schema);
      expect(name).toBe('tenant:acme');
      expect(index.policies.map(({ id }) => id)).toEqual(
        Array.from({ length: size }, (_, n) => `tenant:acme/p${n}`),
      );
      expect(Object.keys(sources)).toHaveLength(size);
    }
  });

  test('several at once do not mix', async () => {
    const { client } = start();
    const schema = await client.schema(SHIPPED_SCHEMA);
    const sizes = [120, 7, 61, 0];
    const built = await Promise.all(sizes.map(size => client.build(tenantBundle(size), schema)));
    expect(built.map(({ index }) => index.size)).toEqual(sizes);
  });

  test('lets other work run in between: a timer of this thread is never far behind', async () => {
    const { client } = start();
    const schema = await client.schema(SHIPPED_SCHEMA);
    let turns = 0;
    let isRunning = true;
    const count = (): void => {
      turns++;
      if (isRunning) setImmediate(count);
    };
    setImmediate(count);
    await client.build(tenantBundle(400), schema);
    isRunning = false;
    expect(turns).toBeGreaterThan(400 / CHUNK_POLICIES);
  });
});
