/** What limits counted, under bounded labels. */
import { describe, expect, test } from 'vitest';
import { LimitMetrics } from '../../src/telemetry/limit-metrics.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';

function scene() {
  const metrics = new Metrics({ version: '1', node: '1', cedar: '1' });
  const counted = { keys: 3, holding: 2 };
  const limits = new LimitMetrics(metrics, { keys: () => counted.keys, holding: () => counted.holding });
  const checks = async () =>
    (await metrics.render()).split('\n').filter(line => line.startsWith('duramen_limit_checks_total{'));
  return { metrics, limits, counted, checks };
}

function met(name: string, violated = false, mode: 'enforce' | 'shadow' = 'enforce') {
  return { charge: { rule: { name, mode } }, standing: { violated } };
}

describe('duramen_limit_checks_total', () => {
  test('counts each limit that admitted, and of a denial those that denied', async () => {
    const { limits, checks } = scene();
    limits.checked([met('platform/a'), met('platform/b')], false);
    limits.checked([met('platform/a'), met('platform/b', true)], true);
    expect(await checks()).toEqual([
      'duramen_limit_checks_total{limit="platform/a",mode="enforce",result="admitted"} 1',
      'duramen_limit_checks_total{limit="platform/a",mode="enforce",result="denied"} 0',
      'duramen_limit_checks_total{limit="platform/b",mode="enforce",result="admitted"} 1',
      'duramen_limit_checks_total{limit="platform/b",mode="enforce",result="denied"} 1',
    ]);
  });

  test('counts what a shadow would have denied apart from what was denied', async () => {
    const { limits, checks } = scene();
    limits.checked([met('platform/a', true, 'shadow'), met('platform/b')], false);
    expect(await checks()).toContain(
      'duramen_limit_checks_total{limit="platform/a",mode="shadow",result="denied"} 1',
    );
    expect(await checks()).toContain(
      'duramen_limit_checks_total{limit="platform/b",mode="enforce",result="admitted"} 1',
    );
  });

  test('has a bounded number of series, and loses no count', async () => {
    const { limits, checks } = scene();
    for (let at = 0; at < 3_000; at++) limits.checked([met(`tenant:t${at}/a`)], false);
    const lines = await checks();
    expect(lines.length).toBeLessThanOrEqual(2_002);
    expect(lines).toContain(
      'duramen_limit_checks_total{limit="other",mode="enforce",result="admitted"} 2000',
    );
  });
});

test('keys and calls that hold something are read when they are asked for', async () => {
  const { metrics, counted } = scene();
  expect(await metrics.render()).toContain('duramen_limit_keys 3\n');
  counted.keys = 5;
  const page = await metrics.render();
  expect(page).toContain('duramen_limit_keys 5\n');
  expect(page).toContain('duramen_limit_holding 2\n');
});
