/** Under which keys and with which amounts limits count a request. */
import { describe, expect, it } from 'vitest';
import type { LimitFacts } from '../../../src/domain/limit-facts.ts';
import { EntityUid } from '../../../src/domain/value.ts';
import { UsageTable } from '../../../src/limits/charges/usage-history.ts';
import {
  FACTS,
  facts,
  layerOf,
  MODEL,
  NOW,
  plannerWith,
  platformOf,
  WINDOW,
} from '../charges/planning-world.ts';

const planner = plannerWith();

describe('what is counted together', () => {
  const keyOf = (changes: Partial<LimitFacts>, limit: Readonly<Record<string, unknown>> = {}) =>
    planner.plan(facts(changes), [platformOf(limit)], NOW).map(({ key }) => key);

  it.each([
    ['principal', { principal: new EntityUid('AI::Service', 'acme/alice') }],
    ['key', { key: 'key-2' }],
    ['tenant', { tenant: 'globex' }],
    ['model', { model: { ...MODEL, uid: new EntityUid('AI::Model', 'acme/other'), version: '' } }],
    ['operation', { operation: 'embed' }],
    ['address', { address: '192.0.2.8' }],
    ['pep', { pep: 'other' }],
  ] satisfies readonly (readonly [string, Partial<LimitFacts>])[])(
    'tells apart by %s alone',
    (dimension, changes) => {
      expect(keyOf(changes, { key: [dimension] })).not.toEqual(keyOf({}, { key: [dimension] }));
      expect(keyOf(changes, { key: [] })).toEqual(keyOf({}, { key: [] }));
    },
  );

  it('takes all versions of a model together', () => {
    const model = { ...MODEL, uid: new EntityUid('AI::Model', 'acme/fraud@4'), version: '4' };
    expect(keyOf({ model }, { key: ['model'] })).toEqual(keyOf({}, { key: ['model'] }));
  });

  it('counts once for each group of the model, or for those that the limit is for', () => {
    const key = ['model_group'];
    expect(new Set(keyOf({}, { key })).size).toBe(2);
    expect(keyOf({}, { key, match: { modelGroups: ['acme/risk'] } })).toHaveLength(1);
    expect(keyOf({ model: undefined }, { key })).toEqual([]);
  });

  it.each([
    ['two addresses of one IPv6 /64', '2001:db8::1', '2001:DB8:0:0:ffff::2', true],
    ['two IPv6 /64', '2001:db8::1', '2001:db8:0:1::1', false],
    ['an IPv4 address and itself within IPv6', '::ffff:192.0.2.7', '192.0.2.7', true],
    ['neighbours of IPv4', '192.0.2.7', '192.0.2.6', false],
    ['what is no address and what is not told', 'localhost', undefined, true],
  ])('takes together or apart: %s', (_, one, other, together) => {
    const key = ['address'];
    expect(keyOf({ address: one }, { key })[0] === keyOf({ address: other }, { key })[0]).toBe(together);
  });

  it('takes networks together where a limit says so', () => {
    const limit = { key: ['address'], prefix: { ipv4: 24 } };
    expect(keyOf({ address: '192.0.2.200' }, limit)).toEqual(keyOf({}, limit));
    expect(keyOf({ address: '192.0.3.7' }, limit)).not.toEqual(keyOf({}, limit));
  });

  it('keeps what was counted when the number changes, and only then', () => {
    const base = keyOf({});
    expect(keyOf({}, { limit: 5, alertAt: [50], byTier: { pro: 1 } })).toEqual(base);
    expect(keyOf({}, { per: '30s' })).not.toEqual(base);
    expect(keyOf({}, { unit: 'tokens' })).not.toEqual(base);
    const rate = keyOf({}, { kind: 'rate', burst: 1 });
    expect(rate).not.toEqual(base);
    expect(keyOf({}, { kind: 'rate', burst: 9, limit: 5 })).toEqual(rate);
    // what flows off in another time is another counter: the store refuses to count both in one
    expect(keyOf({}, { kind: 'rate', burst: 1, per: '30s' })).not.toEqual(rate);
    expect(keyOf({}, { key: ['tenant'] })).not.toEqual(base);
    expect(keyOf({}, { id: 'two' })).not.toEqual(base);
  });

  it('does not depend on the order of the dimensions', () => {
    expect(keyOf({}, { key: ['tenant', 'principal'] })).toEqual(keyOf({}, { key: ['principal', 'tenant'] }));
  });
});

describe('what a request is charged', () => {
  const charge = (
    limit: Readonly<Record<string, unknown>>,
    changes: Partial<LimitFacts> = {},
    history?: UsageTable,
  ) => {
    const layer = layerOf('platform', {
      prices: {
        version: '1',
        default: { inputPerMillion: 1_000_000, outputPerMillion: 3_000_000, perRequest: 7 },
      },
      limits: [{ ...WINDOW, limit: 1_000_000, ...limit }],
    });
    const [charged] = plannerWith(history).plan(facts(changes), [layer], NOW);
    return [charged?.amount, charged?.floor];
  };
  const quota = { kind: 'quota', per: undefined, period: 'day' };
  const tokens = { ...quota, unit: 'tokens' };
  const capped = { estimate: { policy: 'capped', at: 50 } };

  it.each([
    ['one request', {}, {}, [1, 1]],
    ['one lease', { kind: 'concurrency', unit: undefined, per: undefined }, {}, [1, 0]],
    ['the input', { unit: 'input_tokens' }, {}, [100, 100]],
    ['all output that was asked for', { ...quota, unit: 'output_tokens' }, {}, [200, 0]],
    [
      'no more output than the model gives',
      { ...quota, unit: 'output_tokens' },
      { maxOutputTokens: 5_000 },
      [1_000, 0],
    ],
    [
      'what the model gives, where nothing is asked for',
      { ...quota, unit: 'tokens' },
      { maxOutputTokens: undefined },
      [1_100, 100],
    ],
    [
      'the context, where the input is not told',
      { ...quota, unit: 'input_tokens' },
      { inputTokens: undefined },
      [8_000, 8_000],
    ],
    ['tokens together', { ...quota, unit: 'tokens' }, {}, [300, 100]],
    ['the sum of several outputs', tokens, { outputs: 9, totalOutputTokens: 1_700 }, [1_800, 100]],
    [
      'no more of several outputs than the model gives for each',
      tokens,
      { outputs: 2, totalOutputTokens: 9_000 },
      [2_100, 100],
    ],
    [
      'what the model gives for each, where they say nothing together',
      tokens,
      { outputs: 50 },
      [50_100, 100],
    ],
    ['a cap of each output', { ...tokens, ...capped }, { outputs: 9, totalOutputTokens: 900 }, [550, 100]],
    ['no output', tokens, { outputs: 0, totalOutputTokens: 0, maxOutputTokens: undefined }, [100, 100]],
    ['a cap', { ...quota, unit: 'tokens', ...capped }, {}, [150, 100]],
    ['less than the cap', { ...quota, unit: 'tokens', ...capped }, { maxOutputTokens: 20 }, [120, 100]],
    ['money', { ...quota, unit: 'micro_usd' }, {}, [707, 107]],
    ['money of a cap', { ...quota, unit: 'micro_usd', ...capped }, {}, [257, 107]],
    ['time of a cap', { unit: 'compute_ms', ...capped }, {}, [50, 0]],
  ])('%s', (_, limit, changes, expected) => {
    expect(charge(limit, changes)).toEqual(expected);
  });

  it('expects what such calls used before, once some are known, and never more than may come', () => {
    const history = new UsageTable();
    const limit = { unit: 'tokens', estimate: { policy: 'expected', initial: 60 } };
    expect(charge(limit, {}, history)).toEqual([160, 100]);
    for (let call = 0; call < 8; call++) {
      history.add(FACTS.principal.key, MODEL.uid.key, {
        input_tokens: 100,
        output_tokens: 30,
        compute_ms: 5,
      });
    }
    expect(charge(limit, {}, history)).toEqual([130, 100]);
    expect(charge(limit, { maxOutputTokens: 10 }, history)).toEqual([110, 100]);
    expect(charge(limit, { outputs: 4, totalOutputTokens: 800 }, history)).toEqual([220, 100]);
    const stranger = { principal: new EntityUid('AI::User', 'acme/new') };
    expect(charge(limit, stranger, history)).toEqual([130, 100]);
  });

  it('caps at the limit what was guessed, and takes what was declared', () => {
    const small = { ...quota, unit: 'tokens', limit: 50 };
    expect(charge(small)).toEqual([300, 100]);
    expect(charge(small, { maxOutputTokens: undefined })).toEqual([50, 50]);
    expect(charge({ unit: 'tokens', limit: 50 })).toEqual([50, 50]);
    expect(charge({ unit: 'tokens', kind: 'rate', limit: 50, burst: 5 })).toEqual([5, 5]);
  });

  it('charges tokens, money and time only to operations that run a model', () => {
    expect(charge({ unit: 'tokens' }, { operation: 'deploy' })).toEqual([undefined, undefined]);
    expect(charge({ unit: 'tokens', match: { operations: ['deploy'] } }, { operation: 'deploy' })[0]).toBe(
      300,
    );
    expect(charge({}, { operation: 'deploy' })).toEqual([1, 1]);
  });
});

describe('prices', () => {
  const dollars = (priced: object, more: object = {}) => ({
    prices: { version: '1', ...priced },
    limits: [{ ...WINDOW, unit: 'micro_usd', limit: 1_000_000, estimate: { policy: 'maximum' } }],
    ...more,
  });
  const amountOf = (...layers: Parameters<typeof planner.plan>[1]) => planner.plan(FACTS, layers, NOW)[0];

  it.each([
    [
      'the version',
      [
        { model: 'acme/fraud', version: '3', perRequest: 3 },
        { model: 'acme/fraud', perRequest: 2 },
      ],
      3,
    ],
    [
      'the model',
      [
        { model: 'acme/fraud', version: '2', perRequest: 3 },
        { model: 'acme/fraud', perRequest: 2 },
      ],
      2,
    ],
    ['the default', [{ model: 'acme/fraud', version: '2', perRequest: 3 }], 1],
  ])('are those of %s', (_, models, expected) => {
    expect(amountOf(layerOf('platform', dollars({ default: { perRequest: 1 }, models })))?.amount).toBe(
      expected,
    );
  });

  it('deny where a limit in money has none', () => {
    const charged = amountOf(layerOf('platform', dollars({})));
    expect(charged).toMatchObject({ amount: 0, rule: { limit: 0, source: 'no price list has the model' } });
  });

  it("are the higher of the platform's and the tenant's", () => {
    const platform = layerOf('platform', dollars({ default: { perRequest: 5 } }));
    const cheaper = layerOf('tenant:acme', { prices: { version: 'a', default: { perRequest: 1 } } });
    const dearer = layerOf('tenant:acme', { prices: { version: 'b', default: { perRequest: 9 } } });
    expect(amountOf(platform, cheaper)?.amount).toBe(5);
    expect(amountOf(platform, dearer)?.amount).toBe(9);
    expect(planner.priceVersions([platform, dearer])).toEqual(['platform@1', 'tenant:acme@b']);
  });

  it('are exact and rounded up, and stay safe integers whatever is asked for', () => {
    const layer = layerOf(
      'platform',
      dollars({ default: { inputPerMillion: 1, outputPerMillion: 999_999_999 } }),
    );
    const price = (input_tokens: number, output_tokens: number) =>
      planner.price(MODEL, [layer], { input_tokens, output_tokens, compute_ms: 0 });
    expect(price(1, 0)).toBe(1);
    expect(price(1_000_000, 0)).toBe(1);
    expect(price(1_000_001, 0)).toBe(2);
    expect(price(0, 1_000_001)).toBe(999_999_999 + 1_000);
    expect(price(0, Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe('a fair pool', () => {
  const layer = layerOf('platform', {
    limits: [
      {
        id: 'pool',
        kind: 'concurrency',
        limit: 10,
        key: ['model'],
        fair: { weights: { acme: 3, globex: 1 }, others: 1, highWaterPercent: 80 },
      },
    ],
  });

  it('gives each tenant its part of the pool under the key of the pool', () => {
    const [acme] = planner.plan(FACTS, [layer], NOW);
    const [globex] = planner.plan(facts({ tenant: 'globex' }), [layer], NOW);
    expect(acme?.rule).toMatchObject({ fair: { guaranteed: 6, highWater: 8 } });
    expect(globex?.rule).toMatchObject({ fair: { guaranteed: 2, highWater: 8 } });
    expect(globex?.key).toBe(acme?.key);
  });

  it('gives nobody less because another looked', () => {
    const own = plannerWith();
    const parts = (['look', 'look', 'ask', 'look', 'ask', 'ask'] as const).map((what, at) => {
      const tenant = `tenant-${at % 3}`;
      return own.plan(facts({ tenant }), [layer], NOW, what === 'look')[0]?.rule;
    });
    const guaranteed = [2, 2, 2, 1, 1, 1];
    expect(parts).toMatchObject(guaranteed.map(part => ({ fair: { guaranteed: part } })));
  });
});
