/** Start, stop and start again: what was accepted is answered, what was made is there, what is wrong is said. */
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { startService } from '../../src/main.ts';
import { ALLOWED, configFor, startTestService, temporaryFolder } from './service.ts';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => rmSync(folder, { recursive: true }));

const decided = z.object({ decisionId: z.string() });

async function refusal(env: Readonly<Record<string, string>> = {}, dataDir = folder): Promise<string> {
  try {
    const service = await startService(configFor(dataDir, env), { writeLog: () => undefined });
    await service.close();
  } catch (error) {
    if (error instanceof Error) return error.message;
    throw error;
  }
  throw new Error('the service started');
}

describe('a restart', () => {
  test('finds keys, bundles, directory and log as they were', async () => {
    const first = await startTestService({ folder, filled: true });
    const key = await first.makeKey(['pep']);
    const { decisionId } = decided.parse((await first.call('POST', '/decide', { key, body: ALLOWED })).json);
    const layers = (await first.call('GET', '/v1/layers')).text;
    await first.stop();
    const second = await startTestService({ folder });
    expect((await second.call('GET', '/readyz', { key: undefined })).status).toBe(200);
    expect((await second.call('GET', '/v1/layers')).text).toBe(layers);
    const again = await second.call('POST', '/decide', { key, body: ALLOWED });
    expect(again.json).toMatchObject({
      decision: 'allow',
      reason: { policies: ['tenant:acme/acme.data-scientist'] },
    });
    expect((await second.call('GET', `/v1/decisions/${decisionId}`)).status).toBe(200);
    const events = await second.call('GET', '/v1/events?kind=service.start,service.stop&order=asc');
    expect(events.json).toMatchObject({
      items: [{ kind: 'service.start' }, { kind: 'service.stop' }, { kind: 'service.start' }],
    });
    await second.stop();
  });

  test('keeps an answer by Idempotency-Key', async () => {
    const body = { roles: ['pep'], description: 'over a restart' };
    const headers = { 'idempotency-key': 'once' };
    const first = await startTestService({ folder });
    const { id } = z
      .object({ id: z.string() })
      .parse((await first.call('POST', '/v1/keys', { body, headers })).json);
    await first.stop();
    const second = await startTestService({ folder });
    const reply = await second.call('POST', '/v1/keys', { body, headers });
    expect([reply.headers.get('idempotency-replayed'), reply.json]).toMatchObject(['true', { id }]);
    await second.stop();
  });
});

describe('a stop', () => {
  test('answers what was accepted, and every answer is in the log', async () => {
    const first = await startTestService({ folder, filled: true });
    const asked = Array.from({ length: 200 }, () => first.call('POST', '/decide', { body: ALLOWED }));
    await Promise.race(asked);
    await first.stop();
    const outcomes = await Promise.allSettled(asked);
    const replies = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    const ids = replies
      .filter(({ status }) => status === 200)
      .map(reply => decided.parse(reply.json).decisionId);
    expect(replies.every(({ status }) => status === 200 || status === 503)).toBe(true);
    expect(ids.length).toBeGreaterThan(0);
    const second = await startTestService({ folder });
    for (const id of ids) expect((await second.call('GET', `/v1/decisions/${id}`)).status).toBe(200);
    await second.stop();
  });

  test('twice is once', async () => {
    const service = await startTestService({ folder });
    await expect(Promise.all([service.stop(), service.stop()])).resolves.toBeDefined();
  });
});

describe('the first start', () => {
  test('without a configured key makes one, once, and says it nowhere else', async () => {
    const lines: string[] = [];
    const config = { ...configFor(folder), bootstrapKey: undefined };
    const shown: string[] = [];
    const showFirstKey = (key: string) => void shown.push(key);
    const first = await startService(config, { writeLog: line => void lines.push(line), showFirstKey });
    expect(shown).toEqual([expect.stringMatching(/^dmn_/)]);
    const [firstKey = ''] = shown;
    const reply = await fetch(`${first.url}/v1/keys`, { headers: { authorization: `Bearer ${firstKey}` } });
    expect(reply.status).toBe(200);
    await first.close();
    expect(lines.join('')).not.toContain(firstKey);
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    expect(names).toEqual(expect.arrayContaining(['state.db', 'log/tiles.db', 'anchor.checkpoint']));
    for (const name of names.filter(name => statSync(join(folder, name)).isFile())) {
      expect(readFileSync(join(folder, name)).includes(firstKey)).toBe(false);
    }
    const second = await startService(config, { writeLog: () => undefined, showFirstKey });
    expect(shown).toHaveLength(1);
    await second.close();
  });

  test('makes a pepper that nobody else can read, and keeps it', async () => {
    await (await startTestService({ folder })).stop();
    const pepper = readFileSync(join(folder, 'pepper'), 'utf8');
    expect(statSync(join(folder, 'pepper')).mode & 0o777).toBe(0o600);
    await (await startTestService({ folder })).stop();
    expect(readFileSync(join(folder, 'pepper'), 'utf8')).toBe(pepper);
  });
});

describe('what stops a start, in one line that says what to do', () => {
  test('a folder that another service uses', async () => {
    const service = await startTestService({ folder });
    expect(await refusal()).toMatch(/in use by another duramen process/);
    await service.stop();
  });

  test('a port that is taken; the folder is free again afterwards', async () => {
    const blocker = createServer();
    const port = await new Promise<number>(resolve => {
      blocker.listen(0, '127.0.0.1', () => {
        const address = blocker.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    expect(await refusal({ DURAMEN_HTTP_LISTEN: `127.0.0.1:${port}` })).toMatch(
      /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE.*set DURAMEN_HTTP_LISTEN/,
    );
    blocker.close();
    await (await startTestService({ folder })).stop();
  });

  test('a data folder that is a file', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    expect(await refusal({}, file)).toMatch(/cannot be written: .*set DURAMEN_DATA_DIR/);
  });

  test.each<[name: string, damage: (pepper: string) => void, says: RegExp]>([
    ['lost', pepper => rmSync(pepper), /missing.*restore it from a backup/],
    ['cut', pepper => writeFileSync(pepper, 'abc'), /damaged: restore it from a backup/],
    ['readable by others', pepper => chmodSync(pepper, 0o644), /can be read by others: run `chmod 600/],
  ])('a pepper that is %s', async (_name, damage, says) => {
    await (await startTestService({ folder })).stop();
    damage(join(folder, 'pepper'));
    expect(await refusal()).toMatch(says);
  });

  test('a database that is none', async () => {
    writeFileSync(join(folder, 'state.db'), 'this is not a database, whatever its name says'.repeat(100));
    expect(await refusal()).toMatch(/state\.db/);
  });
});

/** Runs all of the garbage collector, which the tests are started without. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc()');
}

async function weaklyStopped(): Promise<WeakRef<object>> {
  const service = await startTestService({ folder, filled: true });
  expect((await service.call('POST', '/decide', { body: ALLOWED })).status).toBe(200);
  expect((await service.call('GET', '/metrics')).text).toContain('duramen_decisions_total');
  await service.stop();
  return new WeakRef(service.running.services);
}

test('a service that was stopped is let go of, with its log, its directory and its tables of limits', async () => {
  const stopped = await weaklyStopped();
  await expect
    .poll(() => {
      collectGarbage();
      return stopped.deref() === undefined;
    })
    .toBe(true);
});
