/** The check of a stored log against its anchors: what it refuses, what it lets pass, and what it tells. */
import { describe, expect, test } from 'vitest';
import { checkAnchors } from '../../src/decision-log/anchor-check.ts';
import type { AnchoredHead, AnchorTarget } from '../../src/decision-log/anchor.ts';
import { AppError } from '../../src/domain/errors.ts';
import { GrowingLog } from './growing-log.ts';

/** An anchor that can only be read. */
function holding(name: string, note: string | undefined | Error): AnchorTarget {
  return {
    name,
    read: async () => {
      if (note instanceof Error) throw note;
      return note;
    },
    publish: () => Promise.reject(new Error('the check publishes nothing')),
  };
}

const noteOf = async (log: GrowingLog) => (await log.signCheckpoint()).note;

function check(log: GrowingLog, targets: readonly AnchorTarget[], replaced: readonly AnchoredHead[] = []) {
  return checkAnchors({ log, tree: log, judge: log.judge(replaced), targets, folder: '/var/lib/duramen' });
}

async function refusal(attempt: Promise<unknown>): Promise<AppError> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof AppError) return error;
  throw new Error('the log was not refused');
}

describe('a log passes', () => {
  test.each([1, 2, 3, 7, 8, 20])('when it continues a checkpoint of %i entries', async size => {
    const log = new GrowingLog().grow(20);
    const report = await check(log, [holding('local', await noteOf(log.copy(size)))]);
    expect(report).toEqual({ missing: [], agreed: [{ name: 'local', size }] });
  });

  test('without anchors, with those that are missing named', async () => {
    const log = new GrowingLog().grow(2);
    expect(await check(log, [holding('local', undefined), holding('file:a', undefined)])).toEqual({
      missing: ['local', 'file:a'],
      agreed: [],
    });
  });

  test('when it is empty: nothing is missing then', async () => {
    expect((await check(new GrowingLog(), [holding('local', undefined)])).missing).toEqual([]);
  });

  test('an anchor that cannot be read back, such as a witness', async () => {
    const witness: AnchorTarget = { name: 'witness:w1', publish: async () => [] };
    expect(await check(new GrowingLog().grow(5), [witness])).toEqual({ missing: [], agreed: [] });
  });

  test('when it records that it took the place of the log of the anchor', async () => {
    const former = new GrowingLog('test.example/former').grow(9);
    const heir = new GrowingLog('test.example/heir').grow(1);
    const head = { origin: former.origin, size: 9, root: await former.root(9) };
    for (const size of [4, 9]) {
      const report = await check(heir, [holding('local', await noteOf(former.copy(size)))], [head]);
      expect(report.agreed).toEqual([{ name: 'local', size }]);
    }
  });
});

describe('a log is refused as rolled back, with the anchor, the sizes and the way on', () => {
  test.each<[name: string, stored: (was: GrowingLog) => GrowingLog, says: RegExp]>([
    ['when it lacks entries', was => was.copy(7), /has 7 entries, .*`file:b`.* of 10: 3 are missing/],
    [
      'when it has other entries, as many',
      was => was.copy(9).grow(1, 'other'),
      /the first 10 of the 10 entries .* that its anchor `file:b` holds/,
    ],
    [
      'when it has other entries, more',
      was => was.copy(9).grow(8, 'other'),
      /the first 10 of the 17 entries/,
    ],
    [
      'when it is another log',
      () => new GrowingLog('test.example/new').grow(1),
      /`file:b` holds a checkpoint of the log `test\.example\/log` with 10 entries, and the log `test\.example\/new`/,
    ],
  ])('%s', async (_name, stored, says) => {
    const was = new GrowingLog().grow(10);
    const now = stored(was);
    // another anchor that agrees, or is missing, changes nothing
    const targets = [holding('local', undefined), holding('file:b', await noteOf(was))];
    const error = await refusal(check(now, targets));
    expect(error.code).toBe('LOG_ROLLBACK');
    expect(error.status).toBe(503);
    expect(error.message).toMatch(says);
    expect(error.message).toContain('`duramen log open-new --data /var/lib/duramen --reason TEXT`');
  });

  test('when it records a smaller checkpoint of the log that it replaced', async () => {
    const former = new GrowingLog('test.example/former').grow(9);
    const heir = new GrowingLog('test.example/heir').grow(1);
    const head = { origin: former.origin, size: 8, root: await former.root(8) };
    const error = await refusal(check(heir, [holding('local', await noteOf(former))], [head]));
    expect(error.code).toBe('LOG_ROLLBACK');
  });
});

describe('an anchor that says nothing reliable refuses the start, with what to do', () => {
  test.each<[string, (note: string) => string | Error, RegExp]>([
    ['cannot be read', () => new Error('EIO: i/o error'), /EIO/],
    ['is damaged', note => note.slice(0, 30), /malformed/],
    ['is changed', note => note.replace('\n10\n', '\n1\n'), /is not over this text/],
    ['is of the log, but by another key', note => note, /not signed by the key of this log/],
  ])('one that %s', async (name, damage, says) => {
    const signer = name.includes('another key')
      ? new GrowingLog('test.example/log', [], 2)
      : new GrowingLog();
    const damaged = damage(await noteOf(signer.grow(10)));
    const error = await refusal(check(new GrowingLog().grow(10), [holding('directory:/mnt', damaged)]));
    expect(error.code).toBe('LOG_UNAVAILABLE');
    expect(error.message).toMatch(says);
    expect(error.message).toMatch(/`directory:\/mnt`.*move it aside, and the next start says/);
  });
});
