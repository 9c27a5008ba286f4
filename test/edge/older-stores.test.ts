/**
 * A start over a state.db or subjects.db that is older than the log: refused until an operator acts, since revoked
 * rights would be back, one principal would have two pseudonyms, and an erased one its name.
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { runCli } from '../../src/cli/run.ts';
import type { StoreName } from '../../src/decision-log/store-ages.ts';
import { recordingTerminal } from '../cli/recording-terminal.ts';
import { ALLOWED, startTestService, temporaryFolder, type TestService } from './service.ts';

const YAN = { attributes: { org: '', tier: 'gold', clearance: 1, actsFor: [] } };
const YAN_PATH = '/v1/entities/User/acme%2Fyan';
const PROFILE = { kind: 'envoy', body: 'whole', dialects: ['openai'] };
const pageSchema = z.object({
  items: z.array(z.looseObject({ subject: z.string(), details: z.record(z.string(), z.unknown()) })),
});

const made = temporaryFolder();
let folder: string;
beforeAll(async () => {
  const service = await startTestService({ folder: made, filled: true });
  await service.stop();
});
beforeEach(() => {
  folder = temporaryFolder();
  cpSync(made, folder, { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));
afterAll(() => rmSync(made, { recursive: true }));

/** Runs the service over the folder. */
async function run(use: (service: TestService) => Promise<void>): Promise<void> {
  const service = await startTestService({ folder });
  try {
    await use(service);
  } finally {
    await service.stop();
  }
}

/** Keeps a database as it is. */
function keep(store: StoreName, as: string): void {
  mkdirSync(join(folder, as), { recursive: true });
  cpSync(join(folder, `${store}.db`), join(folder, as, `${store}.db`));
}

function putBack(store: StoreName, from: string): void {
  for (const side of ['-wal', '-shm']) rmSync(join(folder, `${store}.db${side}`), { force: true });
  cpSync(join(folder, from, `${store}.db`), join(folder, `${store}.db`));
}

/** An empty file, which begins a database anew. */
function empty(store: StoreName): void {
  for (const end of ['', '-wal', '-shm']) rmSync(join(folder, `${store}.db${end}`), { force: true });
  writeFileSync(join(folder, `${store}.db`), '', { mode: 0o600 });
}

const start = () => startTestService({ folder });
const works = () =>
  run(async service => {
    expect((await service.call('POST', '/decide', { body: ALLOWED })).status).toBe(200);
  });

async function openNew(): Promise<void> {
  const terminal = recordingTerminal({ env: {} });
  const args = ['log', 'open-new', '--data', folder, '--reason', 'disk lost, backup of Monday restored'];
  expect(await runCli(args, terminal, '0')).toBe(0);
}

async function eventsOf(service: TestService, kind: string) {
  return pageSchema.parse((await service.call('GET', `/v1/events?kind=${kind}&order=asc`)).json).items;
}

describe('a state.db from before', () => {
  const changes: [string, (service: TestService) => Promise<number>][] = [
    ['an entity', async service => (await service.call('PUT', YAN_PATH, { body: YAN })).status],
    ['a key', async service => (await service.call('POST', '/v1/keys', { body: { roles: ['pep'] } })).status],
    [
      'a profile',
      async service => (await service.call('PUT', '/v1/pep-profiles/e', { body: PROFILE })).status,
    ],
  ];

  test.each(changes)('%s was changed is refused, and the newer one is not', async (_what, change) => {
    keep('state', 'kept');
    await run(async service => expect(await change(service)).toBeLessThan(300));
    keep('state', 'newer');
    putBack('state', 'kept');
    await expect(start()).rejects.toThrow(
      /`state\.db` is older than the decision log: entry \d+ names its change \d+, and it has \d+\. Put .* `duramen log open-new`/,
    );
    // a start that was refused changes nothing about that
    await expect(start()).rejects.toThrow('is older than the decision log');
    putBack('state', 'newer');
    await works();
  });

  test('nothing was changed is as good as the newer one', async () => {
    keep('state', 'kept');
    await works();
    putBack('state', 'kept');
    await run(async service => expect((await service.call('GET', '/readyz')).status).toBe(200));
  });
});

describe('a subjects.db from before', () => {
  test('a principal was registered is refused, and the newer one is not', async () => {
    keep('subjects', 'kept');
    await run(async service => {
      expect((await service.call('PUT', YAN_PATH, { body: YAN })).status).toBe(201);
    });
    keep('subjects', 'newer');
    putBack('subjects', 'kept');
    const older =
      /`subjects\.db` is older than the decision log: entry \d+ names its change \d+, and it has \d+\. Put .* `duramen log open-new`/;
    await expect(start()).rejects.toThrow(older);
    await expect(start()).rejects.toThrow(older);
    putBack('subjects', 'newer');
    await works();
  });

  test('an erasure is refused; with a new log and a reason, the erasure is carried out again', async () => {
    await run(async service => {
      expect((await service.call('PUT', YAN_PATH, { body: YAN })).status).toBe(201);
      expect((await service.call('DELETE', YAN_PATH)).status).toBe(204);
    });
    keep('subjects', 'kept');
    let erased = '';
    await run(async service => {
      const body = { principal: { type: 'User', id: 'acme/yan' }, reason: 'ticket 4711' };
      const reply = await service.call('POST', '/v1/audit/erase', { body });
      erased = z.object({ pseudonym: z.string() }).parse(reply.json).pseudonym;
    });
    putBack('subjects', 'kept');
    await expect(start()).rejects.toThrow('`subjects.db` is older than the decision log');
    await openNew();
    await run(async service => {
      const [opening] = await eventsOf(service, 'log.open');
      expect(opening?.details).toMatchObject({ reason: 'disk lost, backup of Monday restored' });
      expect((await eventsOf(service, 'audit.erase')).map(({ subject }) => subject)).toEqual([erased]);
    });
    // and once only
    await run(async service => expect(await eventsOf(service, 'audit.erase')).toHaveLength(1));
  });
});

describe('after a new log was opened beside an older state.db', () => {
  test('the service runs on, and what was given up is refused when it is put back', async () => {
    keep('state', 'kept');
    await run(async service => void (await service.makeKey(['pep'])));
    keep('state', 'newer');
    putBack('state', 'kept');
    await openNew();
    await works();
    await works();
    keep('state', 'kept');
    putBack('state', 'newer');
    await expect(start()).rejects.toThrow(
      /`state\.db` is older than the decision log: it belongs to the log/,
    );
    putBack('state', 'kept');
    await works();
  });
});

describe('an empty file in the place of', () => {
  test('state.db begins anew beside the log, for this start and the next', async () => {
    keep('state', 'former');
    empty('state');
    for (let starts = 0; starts < 2; starts += 1) {
      await run(async service => expect((await service.call('GET', '/livez')).status).toBe(200));
    }
    putBack('state', 'former');
    await expect(start()).rejects.toThrow('`state.db` is older than the decision log');
  });

  test('subjects.db begins anew, and everybody in the directory gets another pseudonym', async () => {
    let before: unknown;
    await run(async service => {
      expect((await service.call('PUT', YAN_PATH, { body: YAN })).status).toBe(201);
      before = (await service.call('GET', '/v1/events?kind=entity.put&order=desc&limit=1')).json;
    });
    empty('subjects');
    for (let starts = 0; starts < 2; starts += 1) {
      await run(async service => {
        expect((await service.call('POST', '/decide', { body: ALLOWED })).status).toBe(200);
        const after = (await service.call('GET', '/v1/events?kind=entity.put&order=desc&limit=1')).json;
        expect(JSON.stringify(before)).toContain('acme/yan');
        expect(JSON.stringify(after)).not.toContain('acme/yan');
      });
    }
  });
});
