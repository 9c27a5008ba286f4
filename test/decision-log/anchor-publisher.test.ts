/** The publisher of checkpoints: its pace, what failures cost, and that nobody waits for anybody. */
import { describe, expect, test } from 'vitest';
import { AnchorConflict, type AnchorTarget } from '../../src/decision-log/anchor.ts';
import {
  type AnchorObserver,
  AnchorPublisher,
  ATTEMPT_MS,
  CLOSE_MS,
  type CosignedCheckpoint,
} from '../../src/decision-log/anchor-publisher.ts';
import type { SignedCheckpoint } from '../../src/decision-log/ports.ts';
import { GrowingLog } from './growing-log.ts';
import { ManualTime } from './manual-time.ts';

/** An anchor whose answers a test gives. */
class Seen implements AnchorTarget {
  readonly name: string;
  readonly taken: number[] = [];
  answer: (checkpoint: SignedCheckpoint, signal: AbortSignal) => Promise<readonly string[]> = async () => [];

  constructor(name: string) {
    this.name = name;
  }

  async publish(checkpoint: SignedCheckpoint, signal: AbortSignal): Promise<readonly string[]> {
    this.taken.push(checkpoint.size);
    return await this.answer(checkpoint, signal);
  }
}

function setUp(...targets: readonly AnchorTarget[]) {
  const time = new ManualTime();
  const log = new GrowingLog().grow(1);
  const heard: string[] = [];
  const shown: CosignedCheckpoint[] = [];
  const observer: AnchorObserver = {
    failed: (target, problem, first) => heard.push(`${target} failed${first ? ' first' : ''}: ${problem}`),
    recovered: target => heard.push(`${target} recovered`),
    conflict: ({ target, message }) => heard.push(`${target} conflict: ${message}`),
    cosigned: checkpoint => shown.push(checkpoint),
  };
  const publisher = new AnchorPublisher({
    log,
    targets,
    intervalMs: 60_000,
    clock: time,
    timers: time,
    observer,
  });
  return { time, log, heard, shown, publisher };
}

const failing = (): Promise<never> => Promise.reject(new Error('the volume is gone'));
const hanging = (): Promise<never> => new Promise(() => undefined);

describe('the pace', () => {
  test('is one checkpoint at the start and one per interval, the newest each time', async () => {
    const anchor = new Seen('a');
    const { time, log, publisher } = setUp(anchor);
    publisher.start();
    await time.advance(0);
    for (let round = 0; round < 3; round++) {
      log.grow(2);
      await time.advance(60_000);
    }
    expect(anchor.taken).toEqual([1, 3, 5, 7]);
    expect(publisher.status).toMatchObject([
      { name: 'a', ageSeconds: 0, size: 7, failures: 0, problem: undefined },
    ]);
  });

  test('shows in the age of each anchor', async () => {
    const { time, publisher } = setUp(new Seen('a'));
    await time.advance(5_000);
    expect(publisher.status).toMatchObject([{ ageSeconds: undefined, waitingSeconds: 5, size: undefined }]);
    publisher.start();
    await time.advance(30_000);
    expect(publisher.status).toMatchObject([{ ageSeconds: 30, waitingSeconds: 30, size: 1 }]);
  });
});

describe('an anchor that fails', () => {
  test('is tried again after 1, 2, 4 … seconds, at most the interval apart, until it recovers', async () => {
    const anchor = new Seen('a');
    anchor.answer = failing;
    const { time, heard, publisher } = setUp(anchor);
    publisher.start();
    await time.advance(0);
    const tries: number[] = [];
    for (let second = 1; second <= 200; second++) {
      const before = anchor.taken.length;
      await time.advance(1_000);
      if (anchor.taken.length > before) tries.push(second);
    }
    expect(tries.slice(0, 6)).toEqual([1, 3, 7, 15, 31, 60]);
    expect(Math.max(...tries.slice(6).map((at, index) => at - (tries[index + 5] ?? 0)))).toBeLessThanOrEqual(
      60,
    );
    expect(publisher.status[0]).toMatchObject({ failures: tries.length + 1, problem: 'the volume is gone' });
    expect(heard.filter(line => line.includes('first'))).toEqual(['a failed first: the volume is gone']);
    anchor.answer = async () => [];
    await time.advance(60_000);
    expect(heard.at(-1)).toBe('a recovered');
    expect(publisher.status[0]).toMatchObject({ problem: undefined, size: 1 });
  });

  test('or hangs keeps no other one waiting, and gets no second attempt beside the first', async () => {
    const [stuck, steady] = [new Seen('stuck'), new Seen('steady')];
    stuck.answer = hanging;
    const { time, log, heard, publisher } = setUp(stuck, steady);
    publisher.start();
    for (let round = 0; round < 5; round++) {
      await time.advance(60_000);
      log.grow(1);
    }
    expect(steady.taken).toEqual([1, 1, 2, 3, 4, 5]);
    expect(stuck.taken).toEqual([1]);
    expect(heard).toEqual([`stuck failed first: no answer within ${ATTEMPT_MS / 1000} s`]);
  });

  test('is told to stop after its time, and its late success still counts', async () => {
    const slow = new Seen('slow');
    const late = Promise.withResolvers<readonly string[]>();
    let reason: unknown;
    slow.answer = (_, signal) => {
      signal.addEventListener('abort', () => {
        reason = signal.reason;
      });
      return late.promise;
    };
    const { time, heard, publisher } = setUp(slow);
    publisher.start();
    await time.advance(ATTEMPT_MS);
    expect(reason).toMatchObject({ message: 'no answer within 10 s' });
    late.resolve([]);
    await time.advance(0);
    expect(heard.at(-1)).toBe('slow recovered');
    expect(publisher.status[0]).toMatchObject({ size: 1, failures: 1 });
  });

  test('with a conflict is reported once', async () => {
    const anchor = new Seen('a');
    anchor.answer = () => Promise.reject(new AnchorConflict('a', 9, 'it holds more'));
    const { time, heard, publisher } = setUp(anchor);
    publisher.start();
    await time.advance(300_000);
    expect(heard.filter(line => line.includes('conflict'))).toEqual(['a conflict: it holds more']);
  });

  test('because the log cannot sign is every anchor, and signing is not asked for twice at once', async () => {
    const time = new ManualTime();
    let asked = 0;
    const signing = [() => Promise.reject(new Error('the writer is down')), hanging];
    const observer = { failed: () => undefined, recovered: () => undefined };
    const publisher = new AnchorPublisher({
      log: { signCheckpoint: () => signing[asked++]?.() ?? hanging() },
      targets: [new Seen('a'), new Seen('b')],
      intervalMs: 60_000,
      clock: time,
      timers: time,
      observer: { ...observer, conflict: () => undefined, cosigned: () => undefined },
    });
    publisher.start();
    await time.advance(600_000);
    expect(asked).toBe(2);
    expect(publisher.status.map(({ failures, problem }) => [failures, problem])).toEqual([
      [1, 'no checkpoint could be signed: the writer is down'],
      [1, 'no checkpoint could be signed: the writer is down'],
    ]);
  });
});

describe('cosignatures', () => {
  const line = (name: string, size: number) => [`— ${name} ${size}`];

  test('of all witnesses of a round are under one note', async () => {
    const [one, two] = [new Seen('one'), new Seen('two')];
    one.answer = async ({ size }) => line('one', size);
    two.answer = async ({ size }) => line('two', size);
    const { time, log, publisher } = setUp(one, new Seen('file'), two);
    expect(publisher.cosigned).toBeUndefined();
    publisher.start();
    await time.advance(0);
    const { note } = await log.signCheckpoint();
    expect(publisher.cosigned).toMatchObject({
      note: `${note}— one 1\n— two 1\n`,
      checkpoint: { size: 1 },
      witnesses: ['one', 'two'],
    });
  });

  test('replace those of the round before when every witness has answered or failed, and a late one joins', async () => {
    const [one, two] = [new Seen('one'), new Seen('two')];
    one.answer = async ({ size }) => line('one', size);
    two.answer = async ({ size }) => line('two', size);
    const { time, log, shown, publisher } = setUp(one, two);
    publisher.start();
    await time.advance(0);
    two.answer = failing;
    log.grow(4);
    const late = Promise.withResolvers<readonly string[]>();
    one.answer = () => late.promise;
    await time.advance(60_000);
    expect(publisher.cosigned?.checkpoint.size).toBe(1);
    late.resolve(line('one', 5));
    await time.advance(0);
    expect(publisher.cosigned?.witnesses).toEqual(['one']);
    two.answer = async ({ size }) => line('two', size);
    await time.advance(5_000);
    expect(publisher.cosigned).toMatchObject({ checkpoint: { size: 5 }, witnesses: ['one', 'two'] });
    expect(shown.map(({ witnesses }) => witnesses.length)).toEqual([2, 1, 2]);
  });
});

describe('the stop', () => {
  test('publishes what was logged last, then leaves no timer', async () => {
    const anchor = new Seen('a');
    const { time, log, publisher } = setUp(anchor);
    publisher.start();
    await time.advance(0);
    log.grow(1);
    await publisher.close();
    expect(anchor.taken).toEqual([1, 2]);
    expect(time.pending).toBe(0);
    await time.advance(600_000);
    expect(anchor.taken).toEqual([1, 2]);
  });

  test('waits for what is under way, so that the last checkpoint is the last', async () => {
    const anchor = new Seen('a');
    const first = Promise.withResolvers<readonly string[]>();
    anchor.answer = () => first.promise;
    const { time, log, publisher } = setUp(anchor);
    publisher.start();
    await time.advance(0);
    log.grow(1);
    const closed = publisher.close();
    await time.advance(100);
    expect(anchor.taken).toEqual([1]);
    anchor.answer = async () => [];
    first.resolve([]);
    await closed;
    expect(anchor.taken).toEqual([1, 2]);
  });

  test('waits no longer than its limit, and cuts off what hangs', async () => {
    const [stuck, steady] = [new Seen('stuck'), new Seen('steady')];
    let cut = false;
    stuck.answer = (_, signal) => {
      signal.addEventListener('abort', () => {
        cut = true;
      });
      return hanging();
    };
    const { time, publisher } = setUp(stuck, steady);
    publisher.start();
    await time.advance(0);
    let closed = false;
    const closing = publisher.close().then(() => {
      closed = true;
    });
    await time.advance(CLOSE_MS - 1);
    expect(closed).toBe(false);
    await time.advance(1);
    await closing;
    expect(cut).toBe(true);
  });
});
