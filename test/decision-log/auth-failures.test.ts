/** Failed authentications: every one is counted once, and a flood leaves a bounded number of entries. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AuthFailureRecorder, sourceOf } from '../../src/decision-log/auth-failures.ts';
import { MAX_TRACKED, OTHERS } from '../../src/decision-log/minute-counts.ts';
import type { DecisionLog } from '../../src/decision-log/ports.ts';
import { AppError } from '../../src/domain/errors.ts';
import type { EventEntry, LogEntry } from '../../src/domain/log-entry.ts';
import { entryId, TIME } from './entries.ts';

const MINUTE = 60_000;

/** A log that keeps what it takes, and refuses while `refusing`. */
class KeepingLog implements Pick<DecisionLog, 'append'> {
  readonly entries: EventEntry[] = [];
  refusing = false;

  async append(entry: LogEntry) {
    if (this.refusing) throw new AppError('LOG_BACKPRESSURE', 'refused by the test');
    if (entry.kind !== 'decision') this.entries.push(entry);
    return { origin: 'test', index: this.entries.length - 1, size: this.entries.length };
  }

  /** `source cause count first|rest minute` */
  get lines(): string[] {
    return this.entries.map(({ subject, details }) => {
      const [cause, count] = [JSON.stringify(details['cause']), Number(details['count'])];
      const part = details['summary'] === true ? 'rest' : 'first';
      return `${subject} ${cause.slice(1, -1)} ${count} ${part} ${Number(details['minute']) - TIME}`;
    });
  }

  get total(): number {
    return this.entries.reduce((sum, { details }) => sum + Number(details['count']), 0);
  }
}

function setUp() {
  const log = new KeepingLog();
  let time = TIME;
  let sequence = 0;
  const recorder = new AuthFailureRecorder({
    log,
    clock: { now: () => time, monotonic: () => time },
    ids: { next: () => entryId(sequence++) },
    nameOf: source => source,
  });
  const fail = (address: string, cause = 'unknown key', times = 1) => {
    for (let at = 0; at < times; at++) recorder.record({ address, cause });
  };
  return { log, recorder, fail, pass: (ms: number) => void (time += ms) };
}

describe('AuthFailureRecorder', () => {
  test('writes the first failure of a source and cause at once, and the rest at the end of the minute', async () => {
    const { log, recorder, fail, pass } = setUp();
    fail('10.0.0.1', 'unknown key', 3);
    fail('10.0.0.1', 'expired key');
    fail('10.0.0.2');
    const first = [
      '10.0.0.1 unknown key 1 first 0',
      '10.0.0.1 expired key 1 first 0',
      '10.0.0.2 unknown key 1 first 0',
    ];
    expect(log.lines).toEqual(first);
    pass(MINUTE - 1);
    await recorder.flush();
    expect(log.lines).toEqual(first);
    pass(1);
    await recorder.flush();
    expect(log.lines).toEqual([...first, '10.0.0.1 unknown key 2 rest 0']);
    fail('10.0.0.1');
    expect(log.lines.at(-1)).toBe(`10.0.0.1 unknown key 1 first ${MINUTE}`);
  });

  test('writes the rest of the running minute when it is closed, and counts no more', async () => {
    const { log, recorder, fail } = setUp();
    fail('10.0.0.1', 'unknown key', 5);
    await recorder.close();
    fail('10.0.0.1');
    expect(log.lines).toEqual(['10.0.0.1 unknown key 1 first 0', '10.0.0.1 unknown key 4 rest 0']);
  });

  test('a flood from many sources leaves a bounded number of entries with the exact count', async () => {
    const { log, recorder, fail, pass } = setUp();
    for (let at = 0; at < 20_000; at++) fail(`10.${at % 200}.${at % 251}.1`);
    pass(MINUTE);
    await recorder.flush();
    expect(log.entries.length).toBeLessThanOrEqual(2 * (MAX_TRACKED + 1));
    expect(log.total).toBe(20_000);
    expect(log.entries.some(({ subject }) => subject === OTHERS)).toBe(true);
  });

  test('what the log refuses is counted later', async () => {
    const { log, recorder, fail, pass } = setUp();
    log.refusing = true;
    fail('10.0.0.1', 'unknown key', 2);
    pass(MINUTE);
    fail('10.0.0.1', 'unknown key', 3);
    await recorder.flush();
    expect(log.lines).toEqual([]);
    log.refusing = false;
    await recorder.flush();
    expect(log.lines).toEqual(['10.0.0.1 unknown key 2 rest 0']);
    await recorder.close();
    expect(log.lines).toEqual(['10.0.0.1 unknown key 2 rest 0', `10.0.0.1 unknown key 3 rest ${MINUTE}`]);
  });

  test('counts stay exact whatever the order of failures, minutes and refusals', async () => {
    const step = fc.oneof(
      fc.record({
        address: fc.constantFrom('10.0.0.1', '10.0.0.2', '::1'),
        times: fc.integer({ min: 1, max: 4 }),
      }),
      fc.constantFrom('minute', 'flush', 'refuse', 'accept'),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async steps => {
        const { log, recorder, fail, pass } = setUp();
        let failures = 0;
        for (const one of steps) {
          if (typeof one !== 'string') {
            failures += one.times;
            fail(one.address, 'unknown key', one.times);
          } else if (one === 'minute') pass(MINUTE);
          else if (one === 'flush') await recorder.flush();
          else log.refusing = one === 'refuse';
        }
        log.refusing = false;
        await recorder.flush();
        await recorder.close();
        expect(log.total).toBe(failures);
      }),
      { numRuns: 200 },
    );
  });
});

describe('sourceOf', () => {
  test.each([
    ['10.1.2.3', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:0db8:0001:0002::', '2001:db8:1:2::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['', 'unknown'],
    ['x'.repeat(200), 'x'.repeat(64)],
  ])('of %j is %j', (address, source) => expect(sourceOf(address)).toBe(source));
});
