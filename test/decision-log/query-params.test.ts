/** Query strings: what is read, and every problem at once with the word that was probably meant. */
import { describe, expect, test } from 'vitest';
import {
  DEFAULT_PAGE_ITEMS,
  MAX_FILTER_VALUES,
  parseDecisionQuery,
  parseEventQuery,
} from '../../src/decision-log/query-params.ts';

const page = { limit: DEFAULT_PAGE_ITEMS, order: 'desc' };

function parse(text: string) {
  const parsed = parseDecisionQuery(new URLSearchParams(text));
  return parsed.ok ? parsed.query : parsed.problems;
}

describe('parseDecisionQuery', () => {
  test('of nothing is the latest decisions', () => expect(parse('')).toEqual({ ...page, filters: {} }));

  test.each<[string, string, readonly string[], boolean]>([
    ['tenant=acme', 'tenant', ['acme'], false],
    ['tenant=acme,beta', 'tenant', ['acme', 'beta'], false],
    ['tenant=!acme,beta', 'tenant', ['acme', 'beta'], true],
    ['tenant=acme,acme', 'tenant', ['acme'], false],
    ['requestId=a\\,b,c', 'requestId', ['a,b', 'c'], false],
    ['requestId=\\!a', 'requestId', ['!a'], false],
    ['requestId=!\\!a', 'requestId', ['!a'], true],
    ['principal=acme/alice', 'principal', ['acme/alice'], false],
    ['principal=User::acme/alice', 'principal', ['User::acme/alice'], false],
    ['principal=User:acme/alice', 'principal', ['User:acme/alice', 'User::acme/alice'], false],
    ['principal=!Team:acme/alice', 'principal', ['Team:acme/alice'], true],
    ['principal=User::"acme/alice"', 'principal', ['User::acme/alice'], false],
    ['principal=AI::User::"acme/alice"', 'principal', ['User::acme/alice'], false],
    ['code=POLICY_ALLOW,FORBIDDEN_BY_POLICY', 'code', ['POLICY_ALLOW', 'FORBIDDEN_BY_POLICY'], false],
    ['level=!action', 'level', ['action'], true],
    ['policy=tenant:acme/acme.tier', 'policy', ['tenant:acme/acme.tier'], false],
    ['policy=!platform/guard,tenant:a/b/c', 'policy', ['platform/guard', 'tenant:a/b/c'], true],
    [`bundle=sha256:${'a1'.repeat(32)}`, 'bundle', [`sha256:${'a1'.repeat(32)}`], false],
  ])('reads %s', (text, name, values, negated) => {
    const query = text.replace(/=(.*)$/, (_, value: string) => `=${encodeURIComponent(value)}`);
    expect(parse(query)).toEqual({ ...page, filters: { [name]: { values, negated } } });
  });

  test('reads times, limit, order, cursor and the tenants of the asker', () => {
    const text = 'from=2026-01-01T00:00:00Z&to=2026-01-01T02:00:00.5%2B01:00&limit=7&order=asc&cursor=abc';
    expect(parseDecisionQuery(new URLSearchParams(text), ['acme'])).toEqual({
      ok: true,
      query: {
        from: Date.UTC(2026, 0, 1),
        to: Date.UTC(2026, 0, 1, 1, 0, 0, 500),
        limit: 7,
        order: 'asc',
        cursor: 'abc',
        filters: {},
        tenants: ['acme'],
      },
    });
  });

  test.each<[string, string, RegExp]>([
    ['tennant=acme', '?tennant', /did you mean `tenant`/],
    ['zzzzzz=1', '?zzzzzz', /one of tenant, principal/],
    ['tenant=a&tenant=b', '?tenant', /separate values by commas/],
    ['tenant=', '?tenant', /1 to 600 characters/],
    ['tenant=a,,b', '?tenant', /1 to 600 characters/],
    ['tenant=a%5C', '?tenant', /backslash/],
    [
      `tenant=${Array.from({ length: MAX_FILTER_VALUES + 1 }, (_, at) => at).join(',')}`,
      '?tenant',
      /at most 50/,
    ],
    ['decision=denied', '?decision', /did you mean `deny`|one of allow, deny/],
    ['code=POLICY_ALOW', '?code', /did you mean `POLICY_ALLOW`/],
    ['level=tenants', '?level', /did you mean `tenant`/],
    ['policy=acme.tier', '?policy', /with its layer, as `reason.policies` has it/],
    ['policy=platform/a,platfrom/b', '?policy', /`platfrom\/b` is not a value of `policy`/],
    ['bundle=!latest', '?bundle', /64 hex digits/],
    [`bundle=sha256:${'A'.repeat(64)}`, '?bundle', /64 hex digits/],
    ['limit=0', '?limit', /1 to 1000/],
    ['limit=1001', '?limit', /1 to 1000/],
    ['limit=1e2', '?limit', /1 to 1000/],
    ['order=down', '?order', /asc/],
    ['from=yesterday', '?from', /RFC 3339/],
    ['from=2026-13-01T00:00:00Z', '?from', /RFC 3339/],
    ['from=2026-01-01T00:00:00+01:00', '?from', /%2B/],
    ['from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', '?to', /exclusive/],
    ['kind=entity.put', '?kind', /one of/],
  ])('says what is wrong with %s', (text, pointer, words) => {
    const parsed = parseDecisionQuery(new URLSearchParams(text));
    const problems = parsed.ok ? [] : parsed.problems;
    expect(problems.map(problem => problem.pointer)).toEqual(problems.map(() => pointer));
    expect(problems.map(({ message, hint }) => `${message} ${hint}`).join('\n')).toMatch(words);
  });

  test('reports all problems at once, on one line each', () => {
    const parsed = parseDecisionQuery(new URLSearchParams('limit=x&order=y&foo%0Abar=z&decision=q'));
    const problems = parsed.ok ? [] : parsed.problems;
    expect(problems).toHaveLength(4);
    expect(problems.every(({ message }) => !message.includes('\n'))).toBe(true);
  });
});

describe('parseEventQuery', () => {
  test('reads kinds', () => {
    expect(parseEventQuery(new URLSearchParams('kind=!entity.put,key.create'))).toEqual({
      ok: true,
      query: { ...page, kind: { values: ['entity.put', 'key.create'], negated: true } },
    });
  });

  test.each([
    ['kind=entity.putt', 'did you mean `entity.put`?'],
    ['tenant=acme', 'one of kind, from, to, limit, cursor, order'],
  ])('says what is wrong with %s', (text, hint) => {
    expect(parseEventQuery(new URLSearchParams(text))).toMatchObject({ ok: false, problems: [{ hint }] });
  });
});
