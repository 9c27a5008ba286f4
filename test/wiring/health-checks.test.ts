/** What /readyz says about the anchors of the log: to anybody, so ages and nothing else. */
import { describe, expect, test } from 'vitest';
import type { AnchorStatus } from '../../src/decision-log/anchor-publisher.ts';
import { Health } from '../../src/edge/http/health.ts';
import { anchorChecks } from '../../src/wiring/health-checks.ts';

const fresh: AnchorStatus = {
  name: 'local',
  ageSeconds: 12.7,
  waitingSeconds: 12.7,
  size: 4711,
  failures: 0,
  problem: undefined,
};
const failing: AnchorStatus = {
  ...fresh,
  name: 'file:/mnt/worm/checkpoint',
  ageSeconds: 90,
  waitingSeconds: 90,
  failures: 3,
  problem: 'EACCES: /mnt/worm/checkpoint',
};
const never: AnchorStatus = {
  ...failing,
  name: 'witness:witness.example/w1',
  ageSeconds: undefined,
  waitingSeconds: 400,
  size: undefined,
};
const second: AnchorStatus = { ...fresh, name: 'file:/mnt/other/checkpoint' };
const report = (maxAgeSeconds: number, ...status: readonly AnchorStatus[]) =>
  new Health(anchorChecks({ status: () => status }, maxAgeSeconds)).report();

describe('the anchors in readiness', () => {
  test('are shown by kind and number, with their ages, and no path, address, size or cause', () => {
    const { checks } = report(0, fresh, failing, second, never);
    expect(checks.map(({ name, detail }) => [name, detail])).toEqual([
      ['anchor local', 'last checkpoint 12 s ago'],
      ['anchor file 1', 'last checkpoint 90 s ago; the last attempt failed'],
      ['anchor file 2', 'last checkpoint 12 s ago'],
      ['anchor witness 1', 'no checkpoint for 400 s: the log of the service says why'],
    ]);
    expect(JSON.stringify(checks)).not.toMatch(/mnt|example|4711|EACCES/);
  });

  test('do not make the service unready by default, however old', () => {
    expect(report(0, never)).toMatchObject({ ready: true, checks: [{ ok: false, advisory: true }] });
  });

  test.each([
    [89, false],
    [90, true],
  ])('make it unready beyond `anchor.maxAgeSeconds` when that is set: %i', (maxAgeSeconds, ready) => {
    expect(report(maxAgeSeconds, fresh, failing).ready).toBe(ready);
  });

  test('count from the start for an anchor that has taken nothing yet', () => {
    const starting = { ...never, waitingSeconds: 3 };
    expect(report(60, starting)).toMatchObject({ ready: true, checks: [{ detail: 'no checkpoint yet' }] });
    expect(report(60, never).ready).toBe(false);
  });
});
