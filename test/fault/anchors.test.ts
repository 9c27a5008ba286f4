/**
 * A service whose log went back in time: restored from an old copy, cut, or replaced. It refuses to start until an
 * operator opens a new log with a reason, and nothing of the old one is lost.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { runCli } from '../../src/cli/run.ts';
import { parseCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { formatSignerKey, parseNote } from '../../src/decision-log/signed-note.ts';
import { recordingTerminal } from '../cli/recording-terminal.ts';
import { type AnchoredLog, refusal, startLog } from '../wiring/anchored-log.ts';

/** What two runs left behind, and the data folder as it was between them: made once, copied for each test. */
const made = mkdtempSync(join(tmpdir(), 'duramen-rollback-'));
let root: string;
let data: string;
let anchorFile: string;
let bucket: string;
let env: Record<string, string>;

function use(folder: string): void {
  root = folder;
  data = join(root, 'data');
  anchorFile = join(root, 'other-volume', 'checkpoint');
  bucket = join(root, 'bucket');
  env = { DURAMEN_ANCHOR_FILES: anchorFile, DURAMEN_ANCHOR_DIRECTORIES: bucket };
}

beforeAll(async () => {
  use(join(made, 'once'));
  for (const folder of [data, join(root, 'other-volume'), bucket]) mkdirSync(folder, { recursive: true });
  await run();
  cpSync(root, join(made, 'twice'), { recursive: true });
  use(join(made, 'twice'));
  cpSync(data, join(root, 'backup'), { recursive: true });
  await run();
});
beforeEach(() => copyOf('once'));
afterEach(() => rmSync(root, { recursive: true }));
afterAll(() => rmSync(made, { recursive: true }));

function copyOf(state: 'once' | 'twice'): void {
  use(mkdtempSync(join(tmpdir(), 'duramen-rollback-')));
  cpSync(join(made, state), root, { recursive: true });
}

const start = () => startLog(data, env);
const refused = () => refusal(data, env);

/** Starts, logs something, and stops. */
async function run(): Promise<void> {
  const service = await start();
  await service.add(3);
  await service.stop();
}

async function openNew(...more: readonly string[]): Promise<{ code: number; said: string }> {
  const terminal = recordingTerminal({ env });
  const args = ['log', 'open-new', '--data', data, '--reason', 'the disk died, backup of Monday', ...more];
  const code = await runCli(args, terminal, '0');
  return { code, said: terminal.stderr() };
}

const headIn = (file: string) => parseCheckpoint(parseNote(readFileSync(file, 'utf8')).text);
/** What an entry that begins a log says. */
const openingSchema = z.looseObject({
  reason: z.string(),
  by: z.string().min(1),
  replaces: z.array(z.strictObject({ origin: z.string(), size: z.int(), root: z.string() })),
  remains: z.looseObject({ origin: z.string(), size: z.int() }).nullable(),
});

async function openingOf(service: AnchoredLog) {
  const [opening, ...more] = await service.events('log.open');
  expect([opening?.index, more]).toEqual([0, []]);
  return openingSchema.parse(opening?.details);
}

describe('every place', () => {
  test('holds the newest checkpoint, the stop included, and the log passes it at the next start', async () => {
    const [local, file, latest] = [join(data, 'anchor.checkpoint'), anchorFile, join(bucket, 'latest')].map(
      headIn,
    );
    expect([file, latest]).toEqual([local, local]);
    const service = await start();
    const [stop] = await service.events('service.stop');
    expect(stop?.index).toBe((local?.size ?? 0) - 1);
    expect(await service.events('log.anchor_missing')).toEqual([]);
    await service.stop();
  });

  test('has its age in the heartbeats of the log', async () => {
    const service = await start();
    await vi.waitFor(
      () => expect(service.anchors.status().every(({ size }) => size !== undefined)).toBe(true),
      { timeout: 20_000 },
    );
    vi.useFakeTimers({ toFake: ['setTimeout'] });
    try {
      service.anchors.heartbeat.start();
      await vi.advanceTimersByTimeAsync(60_000);
    } finally {
      vi.useRealTimers();
    }
    await vi.waitFor(async () => expect(await service.events('log.heartbeat')).toHaveLength(1), {
      timeout: 20_000,
    });
    const details = {
      everySeconds: 60,
      anchors: [{ anchor: 'local' }, { anchor: `file:${anchorFile}` }, {}],
    };
    expect(await service.events('log.heartbeat')).toMatchObject([{ subject: 'log', details }]);
    service.anchors.heartbeat.stop();
    await service.stop();
  });

  test('that is missing is said in the log, and the service goes on', async () => {
    rmSync(anchorFile);
    const service = await start();
    expect(await service.events('log.anchor_missing')).toMatchObject([{ subject: `file:${anchorFile}` }]);
    expect(service.lines.join('')).toContain('holds no checkpoint');
    await service.stop();
    expect(existsSync(anchorFile)).toBe(true);
  });

  test('that is damaged stops the start, and is left as it is', async () => {
    writeFileSync(anchorFile, 'garbage');
    const error = await refused();
    expect(error.code).toBe('LOG_UNAVAILABLE');
    expect(error.message).toMatch(/anchor `file:.*checkpoint`: the note is malformed.*move it aside/);
    expect(readFileSync(anchorFile, 'utf8')).toBe('garbage');
  });
});

describe('a folder that was restored from an old copy', () => {
  let copied: number;
  let published: number;
  beforeEach(() => {
    rmSync(root, { recursive: true });
    copyOf('twice');
    published = headIn(anchorFile).size;
    copied = headIn(join(root, 'backup', 'anchor.checkpoint')).size;
    rmSync(data, { recursive: true });
    renameSync(join(root, 'backup'), data);
  });

  test('is refused with both sizes, the anchor and the way on, and nothing is written to its log', async () => {
    const before = filesOf(join(data, 'log'));
    const error = await refused();
    expect(error.code).toBe('LOG_ROLLBACK');
    expect(error.message).toContain(`has ${copied} entries`);
    expect(error.message).toContain(`\`file:${anchorFile}\` holds a checkpoint of ${published}`);
    expect(error.message).toContain(`\`duramen log open-new --data ${data} --reason TEXT\``);
    expect((await refused()).code).toBe('LOG_ROLLBACK');
    expect(filesOf(join(data, 'log'))).toEqual(before);
    expect(headIn(anchorFile).size).toBe(published);
  });

  test('is not signed by the start that refuses it', async () => {
    const [shard = ''] = readdirSync(join(data, 'log')).filter(name => name.startsWith('2'));
    const onShard = <T>(work: (db: SqliteDatabase.Database) => T): T => {
      const db = new SqliteDatabase(join(data, 'log', shard));
      try {
        return work(db);
      } finally {
        db.close();
      }
    };
    // as somebody would who changed the log and does not have its key
    onShard(db => db.exec('DELETE FROM head'));
    expect((await refused()).code).toBe('LOG_ROLLBACK');
    expect(onShard(db => db.prepare('SELECT note FROM head').all())).toEqual([]);
  });

  test('goes on in a new log whose first entry says why, by whom, and what is lost', async () => {
    const former = headIn(anchorFile);
    const { code, said } = await openNew();
    expect({ code, said }).toMatchObject({ code: 0 });
    expect(said).toContain(`takes the place of ${former.origin} at ${published} entries`);
    const service = await start();
    expect(await openingOf(service)).toMatchObject({
      reason: 'the disk died, backup of Monday',
      replaces: [
        { origin: former.origin, size: published, root: Buffer.from(former.root).toString('base64') },
      ],
      remains: { origin: former.origin, size: copied },
    });
    expect(service.log.origin).not.toBe(former.origin);
    await service.stop();
    expect(headIn(anchorFile).origin).toBe(service.log.origin);
    // the directory keeps the checkpoints of both logs
    expect(readdirSync(bucket)).toHaveLength(3);
    await run();
  });

  test('can be put back: the old log is aside, whole', async () => {
    const before = filesOf(join(data, 'log'));
    await openNew();
    const retired = join(data, 'log-retired', headIn(anchorFile).origin.replace('/', '_'));
    expect(filesOf(join(retired, 'log'))).toEqual(before);
    expect(readdirSync(retired).sort()).toEqual(
      expect.arrayContaining(['anchor.checkpoint', 'log', 'log-signing-key', 'query.db']),
    );
    expect(existsSync(join(data, 'log'))).toBe(false);
  });

  test('is refused again when the record of the new log is taken away', async () => {
    await openNew();
    rmSync(join(data, 'log-open-request.json'));
    const error = await refused();
    expect(error.code).toBe('LOG_ROLLBACK');
    expect(error.message).toMatch(/does not say that it took its place/);
    // the way on leads out of here, too
    expect((await openNew()).code).toBe(0);
    await run();
  });
});

describe('a log that was replaced while its anchor in the same folder stayed', () => {
  test('by an older copy of itself', async () => {
    cpSync(join(data, 'log'), join(root, 'log'), { recursive: true });
    env = {};
    await run();
    rmSync(join(data, 'log'), { recursive: true });
    renameSync(join(root, 'log'), join(data, 'log'));
    expect((await refused()).message).toMatch(/its anchor `local` holds a checkpoint of/);
  });

  test('by nothing', async () => {
    env = {};
    const { origin } = headIn(join(data, 'anchor.checkpoint'));
    for (const name of ['log', 'log-signing-key']) rmSync(join(data, name), { recursive: true });
    const error = await refused();
    expect(error.code).toBe('LOG_ROLLBACK');
    expect(error.message).toContain(`\`local\` holds a checkpoint of the log \`${origin}\``);
    expect((await openNew()).code).toBe(0);
    await run();
  });
});

test('a log that is lost while its key is there leads to a new one, too', async () => {
  rmSync(join(data, 'log'), { recursive: true });
  const error = await refused();
  expect(error.code).toBe('LOG_UNAVAILABLE');
  expect(error.message).toContain('duramen log open-new');
  expect((await openNew()).code).toBe(0);
  const service = await start();
  expect(await openingOf(service)).toMatchObject({ remains: null, replaces: [{}] });
  await service.stop();
});

describe('duramen log open-new', () => {
  test('refuses while the service holds the folder', async () => {
    const service = await start();
    const { code, said } = await openNew();
    expect(code).toBe(1);
    expect(said).toMatch(/in use by another duramen process/);
    expect(existsSync(join(data, 'log-open-request.json'))).toBe(false);
    await service.stop();
  });

  test('wants a reason, a folder and a log', async () => {
    expect((await openNew('--reason', ' ')).code).toBe(64);
    expect((await openNew('--reason', 'x'.repeat(501))).code).toBe(64);
    env = {};
    rmSync(data, { recursive: true });
    mkdirSync(data);
    expect((await openNew()).said).toMatch(/there is no log/);
    rmSync(data, { recursive: true });
    expect((await openNew()).said).toMatch(/no data folder/);
  });

  test('asked twice is done once', async () => {
    await openNew();
    const { code, said } = await openNew();
    expect(code).toBe(1);
    expect(said).toMatch(/requested already/);
    await run();
    expect(readdirSync(join(data, 'log-retired'))).toHaveLength(1);
  });

  test('sets a log aside that cannot be read, and says what it does not record', async () => {
    const [shard = ''] = readdirSync(join(data, 'log')).filter(name => name.startsWith('2'));
    writeFileSync(join(data, 'log', shard), 'this is not a database, whatever its name says'.repeat(100));
    expect((await refused()).code).toBe('LOG_UNAVAILABLE');
    const { code, said } = await openNew();
    expect(code).toBe(0);
    expect(said).toMatch(/cannot be read, so its size/);
    const { size } = headIn(anchorFile);
    const service = await start();
    expect(await openingOf(service)).toMatchObject({ remains: null, replaces: [{ size }] });
    await service.stop();
  });

  test.each(['before any file moved', 'between two files', 'after all files moved'])(
    'is finished by the next start after a crash %s',
    async moment => {
      const before = filesOf(join(data, 'log'));
      await openNew();
      const request = join(data, 'log-open-request.json');
      const retired = join(data, 'log-retired', readdirSync(join(data, 'log-retired'))[0] ?? '');
      const moved =
        { 'before any file moved': readdirSync(retired), 'between two files': ['log'] }[moment] ?? [];
      for (const name of moved.filter(name => name !== 'anchor.checkpoint')) {
        renameSync(join(retired, name), join(data, name));
      }
      writeFileSync(request, readFileSync(request, 'utf8').replace('"moved"', '"moving"'));
      const service = await start();
      await openingOf(service);
      expect(existsSync(request)).toBe(false);
      expect(filesOf(join(retired, 'log'))).toEqual(before);
      await service.stop();
    },
  );

  test('refuses to go on under the key of the old log, which would be a fork', async () => {
    const { origin } = headIn(anchorFile);
    await openNew();
    const key = readFileSync(
      join(data, 'log-retired', origin.replace('/', '_'), 'log-signing-key'),
      'utf8',
    ).trim();
    env = { ...env, DURAMEN_LOG_SIGNING_KEY: key };
    const error = await refused();
    expect(error.code).toBe('LOG_UNAVAILABLE');
    expect(error.message).toContain(`is that of the old one, \`${origin}\`: configure a new key`);
    expect(error.message).not.toContain(key.slice(-20));
    expect(existsSync(join(data, 'log'))).toBe(false);
    const fresh = formatSignerKey('duramen.example/second', new Uint8Array(32).fill(9));
    env = { ...env, DURAMEN_LOG_SIGNING_KEY: fresh };
    const service = await start();
    expect(service.log.origin).toBe('duramen.example/second');
    expect(await openingOf(service)).toMatchObject({ replaces: [{ origin }] });
    await service.stop();
  });

  test('leaves a request that a restored log does not answer, and the start says so', async () => {
    cpSync(join(data, 'log'), join(root, 'log'), { recursive: true });
    const key = readFileSync(join(data, 'log-signing-key'));
    await openNew();
    cpSync(join(root, 'log'), join(data, 'log'), { recursive: true });
    writeFileSync(join(data, 'log-signing-key'), key, { mode: 0o600 });
    const error = await refused();
    expect(error.code).toBe('LOG_ROLLBACK');
    expect(error.message).toMatch(
      /a new log was requested .* remove `log-open-request\.json` to go on with this log/,
    );
  });
});

/** Names and contents of the files that make up a log; what SQLite keeps beside them aside. */
function filesOf(folder: string): Readonly<Record<string, string>> {
  const names = readdirSync(folder)
    .filter(name => name.endsWith('.db'))
    .sort();
  return Object.fromEntries(names.map(name => [name, readFileSync(join(folder, name), 'base64')]));
}
