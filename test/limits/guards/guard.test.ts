/** The guard beside limits: whose doing a denial is, what is refused before it is evaluated, who is turned away. */
import { describe, expect, test } from 'vitest';
import { EntityUid } from '../../../src/domain/value.ts';
import { guardScene } from './guard-scene.ts';
import { MODEL, NOW, WINDOW } from '../charges/planning-world.ts';

const PENALTY = { violations: 3, within: '60s', block: '60s' };
const ONE = { ...WINDOW, limit: 1 };
const PROBLEMS = 'https://iana.org/assignments/http-problem-types#';
const BOB = { principal: new EntityUid('AI::User', 'acme/bob') };

/** Asks so often; the codes, each once, in the order in which they came first. */
function codes(count: number, ask: () => string): string[] {
  return [...new Set(Array.from({ length: count }, ask))];
}

describe('whose doing a denial is', () => {
  test.each([
    ['a window of the principal', ONE, 'PENALTY_BLOCKED'],
    ['a window of its key', { ...ONE, key: ['key'] }, 'PENALTY_BLOCKED'],
    [
      'a budget of the principal',
      { ...ONE, kind: 'quota', per: undefined, period: 'day' },
      'PENALTY_BLOCKED',
    ],
    [
      'a rate of principal and model',
      { ...ONE, kind: 'rate', burst: 1, key: ['principal', 'model'] },
      'PENALTY_BLOCKED',
    ],
    ['a window of the tenant, which others use too', { ...ONE, key: ['tenant'] }, 'RATE_LIMITED'],
    ['a window of everybody', { ...ONE, key: [] }, 'RATE_LIMITED'],
    [
      'running calls, whose ends a gateway may not report',
      { id: 'c', kind: 'concurrency', limit: 1, key: ['principal'] },
      'CONCURRENCY_LIMITED',
    ],
  ])('%s', (_, limit, last) => {
    const scene = guardScene({ limits: [limit], penalties: { principal: PENALTY } });
    expect(codes(10, () => scene.ask()).at(-1)).toBe(last);
  });

  test('a window of a client that several users share blocks none of them', () => {
    const scene = guardScene({ limits: [{ ...ONE, key: ['key'] }], penalties: { principal: PENALTY } });
    expect(codes(10, () => scene.ask({ keyIsShared: true }))).toEqual(['ALLOW', 'RATE_LIMITED']);
  });

  test('a shadow limit blocks nobody', () => {
    const scene = guardScene({ limits: [{ ...ONE, mode: 'shadow' }], penalties: { principal: PENALTY } });
    expect(codes(20, () => scene.ask())).toEqual(['ALLOW']);
  });

  test('trying out whether something would pass blocks nobody', () => {
    const scene = guardScene({ limits: [ONE], penalties: { principal: PENALTY } });
    expect(codes(20, () => scene.ask({}, true))).toEqual(['ALLOW']);
    scene.ask();
    expect(codes(20, () => scene.ask({}, true))).toEqual(['RATE_LIMITED']);
  });

  test('a request that several limits deny is one violation', () => {
    const limits = [ONE, { ...ONE, id: 'two' }, { ...ONE, id: 'three' }];
    const scene = guardScene({ limits, penalties: { principal: PENALTY } });
    const answers = Array.from({ length: 5 }, () => scene.ask());
    expect(answers).toEqual(['ALLOW', 'RATE_LIMITED', 'RATE_LIMITED', 'RATE_LIMITED', 'PENALTY_BLOCKED']);
  });

  test('an address is blocked by limits of addresses, a principal by its own', () => {
    const limits = [{ ...ONE, key: ['address'], limit: 1 }];
    const scene = guardScene({ limits, penalties: { principal: PENALTY, address: PENALTY } });
    expect(codes(6, () => scene.ask()).at(-1)).toBe('PENALTY_BLOCKED');
    expect(scene.blocks).toMatchObject([{ kind: 'address', id: '192.0.2.7' }]);
    expect(scene.ask({ address: '198.51.100.1' }), 'the principal from elsewhere').toBe('ALLOW');
    expect(scene.ask({ ...BOB }), 'another principal from there').toBe('PENALTY_BLOCKED');
  });

  test.each([
    ['another spelling', '::ffff:192.0.2.7', 'PENALTY_BLOCKED'],
    ['another address', '192.0.2.8', 'ALLOW'],
  ])('an address has one name: %s', (_, address, code) => {
    const limits = [{ ...ONE, key: ['address'] }];
    const scene = guardScene({ limits, penalties: { address: PENALTY } });
    for (let one = 0; one < 5; one++) scene.ask();
    expect(scene.ask({ ...BOB, address })).toBe(code);
  });

  test('an IPv6 address is blocked with all that its owner has', () => {
    const limits = [{ ...ONE, key: ['address'] }];
    const scene = guardScene({ limits, penalties: { address: PENALTY } });
    for (let one = 0; one < 6; one++) scene.ask({ address: `2001:db8:0:7::${one}` });
    expect(scene.blocks).toMatchObject([{ id: '2001:db8:0:7::/64' }]);
    expect(scene.ask({ address: '2001:DB8::7:1:2:3:4' })).toBe('PENALTY_BLOCKED');
    expect(scene.ask({ address: '2001:db8:0:8::1' })).toBe('ALLOW');
  });

  test.each([[undefined], ['unknown'], ['']])('nobody is blocked for the address %j', address => {
    const limits = [{ ...ONE, key: ['address'] }];
    const scene = guardScene({ limits, penalties: { address: PENALTY } });
    expect(codes(10, () => scene.ask({ address }))).toEqual(['ALLOW', 'RATE_LIMITED']);
  });
});

describe('a block', () => {
  test('names the limit and the time, and nobody', () => {
    const scene = guardScene({ limits: [ONE], penalties: { principal: PENALTY } });
    for (let one = 0; one < 4; one++) scene.ask();
    scene.now = NOW + 500;
    const answer = scene.answer();
    expect(answer?.refusal).toEqual({
      code: 'PENALTY_BLOCKED',
      message:
        'requests are refused until 2026-11-01T12:01:00.000Z, because limit `platform/one` was violated again and again',
      retryAfterMs: 59_500,
      violated: ['platform/one'],
    });
    expect(answer?.members).toMatchObject({
      headers: { 'retry-after': '60' },
      problem: { status: 429, type: `${PROBLEMS}abnormal-usage-detected` },
    });
  });

  test('charges nothing and counts no violation while it lasts', () => {
    const scene = guardScene({ limits: [ONE], penalties: { principal: PENALTY } });
    for (let one = 0; one < 100; one++) scene.ask();
    scene.now = NOW + 60_000;
    expect(scene.ask(), 'after the block').toBe('ALLOW');
    expect(scene.blocks).toHaveLength(1);
  });
});

describe('shedding', () => {
  const shedding = {
    smooth: '0s',
    steps: [{ enterPercent: 85, leavePercent: 75, tiers: ['free'], operations: ['batch'] }],
  };
  const report = { source: 's', reporter: 'k', observedAt: NOW, ttlMs: 10_000 };
  const FREE = { tier: 'free' };

  test.each([
    ['the model', MODEL.uid.key, 'OVERLOADED'],
    ['a group of it', 'AI::ModelGroup::"acme/risk"', 'OVERLOADED'],
    ['the model that it is a version of', 'AI::Model::"acme/fraud"', 'OVERLOADED'],
    ['another model', 'AI::Model::"acme/web"', 'ALLOW'],
  ])('follows the load of %s', (_, subject, code) => {
    const scene = guardScene({ limits: [WINDOW], shedding });
    scene.guard.report({ ...report, subject, gpuPercent: 90 }, NOW);
    expect(scene.ask(FREE)).toBe(code);
    expect(scene.ask(), 'another tier').toBe('ALLOW');
    scene.now = NOW + 10_000;
    expect(scene.ask(FREE), 'a report that expired').toBe('ALLOW');
  });

  test('is answered as want of capacity, and is no violation', () => {
    const scene = guardScene({ limits: [WINDOW], shedding, penalties: { principal: PENALTY } });
    scene.guard.report({ ...report, subject: MODEL.uid.key, queueDepth: 64 }, NOW);
    expect(codes(50, () => scene.ask(FREE))).toEqual(['OVERLOADED']);
    expect(scene.blocks).toEqual([]);
    expect(scene.answer(FREE)?.members).toMatchObject({
      problem: { status: 503, type: `${PROBLEMS}temporary-reduced-capacity` },
    });
  });

  test('has callers come back at different times, each at the same', () => {
    const scene = guardScene({ limits: [WINDOW], shedding: { ...shedding, retryAfter: '7s' } });
    scene.guard.report({ ...report, subject: MODEL.uid.key, gpuPercent: 90 }, NOW);
    const wait = (id: string): number | null | undefined =>
      scene.answer({ ...FREE, principal: new EntityUid('AI::User', id) })?.refusal?.retryAfterMs;
    const waits = Array.from({ length: 50 }, (_, one) => wait(`acme/u${one}`));
    expect(new Set(waits).size).toBeGreaterThan(45);
    for (const one of waits) expect([one, Number(one) >= 7_000 && Number(one) < 14_000]).toEqual([one, true]);
    expect(wait('acme/u7')).toBe(waits[7]);
  });

  test('charges nothing: who was turned away has all that was left', () => {
    const scene = guardScene({ limits: [ONE], shedding });
    scene.guard.report({ ...report, subject: MODEL.uid.key, gpuPercent: 90 }, NOW);
    expect(codes(5, () => scene.ask(FREE))).toEqual(['OVERLOADED']);
    scene.guard.report(
      { ...report, subject: MODEL.uid.key, gpuPercent: 10, observedAt: NOW + 1 },
      NOW + 10_001,
    );
    scene.now = NOW + 20_000;
    expect(scene.ask(FREE)).toBe('ALLOW');
  });

  test('tells each step once, and that it ended because nobody reported', () => {
    const scene = guardScene({ limits: [WINDOW], shedding });
    for (let at = 0; at < 5; at++) {
      scene.guard.report(
        { ...report, subject: MODEL.uid.key, gpuPercent: 90, observedAt: NOW + at },
        NOW + at,
      );
    }
    scene.guard.expire(NOW + 10_003);
    scene.guard.expire(NOW + 10_004);
    scene.guard.expire(NOW + 10_005);
    expect(scene.steps.map(({ from, to, expired }) => [from, to, expired])).toEqual([
      [0, 1, false],
      [1, 0, true],
    ]);
  });
});

describe('alerts', () => {
  test('are raised at 80 and 100 per cent of each whom the limit counts, once', () => {
    const scene = guardScene({ limits: [{ ...WINDOW, limit: 10 }] });
    for (let one = 0; one < 30; one++) scene.ask();
    for (let one = 0; one < 8; one++) scene.ask(BOB);
    expect(scene.alerts.map(({ percent, used }) => [percent, used])).toEqual([
      [80, 8],
      [100, 10],
      [80, 8],
    ]);
  });

  test('are raised by shadow limits, and not by trying out', () => {
    const scene = guardScene({ limits: [{ ...ONE, mode: 'shadow' }] });
    scene.ask({}, true);
    expect(scene.alerts).toEqual([]);
    scene.ask();
    expect(scene.alerts).toMatchObject([{ percent: 100, rule: { mode: 'shadow' } }]);
  });
});
