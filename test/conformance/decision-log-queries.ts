/** What queries find, over logs that stay as they are: filters, times, tenants. For every backend. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type {
  DecisionFilterName,
  DecisionQuery,
  EventQuery,
  LoggedLeaf,
  Page,
} from '../../src/decision-log/ports.ts';
import type { LogEntry } from '../../src/domain/log-entry.ts';
import { decisionEntry, entryId, eventEntry, requestOf, TIME } from '../decision-log/entries.ts';
import { pseudonymOf } from '../decision-log/test-privacy.ts';
import type { LogUnderTest } from './decision-log.ts';

const PAGE = { limit: 100, order: 'asc' } as const;

/** A log with some entries, shared by the tests of one group. */
function fill(open: () => Promise<LogUnderTest>, entries: readonly LogEntry[]) {
  let subject: LogUnderTest;
  beforeAll(async () => {
    subject = await open();
    await Promise.all(entries.map(entry => subject.log.append(entry)));
  });
  afterAll(() => subject.dispose());
  return {
    decisions: async (query: Partial<DecisionQuery> = {}) =>
      ids(await subject.reader.decisions({ ...PAGE, filters: {}, ...query })),
    page: (query: Partial<DecisionQuery>) => subject.reader.decisions({ ...PAGE, filters: {}, ...query }),
    events: async (query: Partial<EventQuery> = {}) =>
      ids(await subject.reader.events({ ...PAGE, ...query })),
    decision: (id: string, tenants?: readonly string[]) => subject.reader.decision(id, tenants),
  };
}

export function decisionLogQueryConformance(name: string, open: () => Promise<LogUnderTest>): void {
  describe(`${name}: filters`, () => {
    const base = decisionEntry(0);
    const one = decisionEntry(1, {
      request: requestOf({
        requestId: 'r,1',
        tenant: 'beta',
        action: 'embed',
        principal: { type: 'Agent', id: 'beta/bot' },
        resource: { type: 'Model', id: 'beta/llm' },
      }),
      decision: 'deny',
      reason: { ...base.reason, code: 'FORBIDDEN_BY_POLICY', level: 'tenant', policies: ['platform/guard'] },
      levels: {
        endpoint: checked(['tenant:beta/b']),
        tenant: checked(['platform/guard'], ['tenant:beta/err']),
      },
      revision: { ...base.revision, layers: { platform: 'sha256:p2' } },
    });
    const two = decisionEntry(2, {
      request: requestOf({ resource: { type: 'Tool', id: 'acme/support-llm' } }),
    });

    const log = fill(open, [base, one, two, eventEntry(3)]);
    const named = (sequence: number, type: string, id: string) =>
      decisionEntry(sequence, { request: requestOf({ principal: { type, id } }) });
    const people = fill(open, [
      named(0, 'User', 'acme/alice'),
      named(1, 'Agent', 'acme/alice'),
      named(2, 'Service', 'acme/carol'),
      named(3, 'Agent', 'beta/bot'),
      eventEntry(4, { subject: 'AI::User::"acme/alice"' }),
    ]);
    const [alice, agent, carol, bot, nobody] = [
      pseudonymOf('AI::User::"acme/alice"'),
      pseudonymOf('AI::Agent::"acme/alice"'),
      pseudonymOf('AI::Service::"acme/carol"'),
      pseudonymOf('AI::Agent::"beta/bot"'),
      pseudonymOf('AI::User::"acme/nobody"'),
    ];

    test.each<[DecisionFilterName, readonly string[], readonly number[]]>([
      ['tenant', ['acme'], [0, 2]],
      ['tenant', ['beta', 'gamma'], [1]],
      ['model', ['acme/support-llm'], [0]],
      ['model', ['acme/support-llm', 'beta/llm'], [0, 1]],
      ['action', ['embed'], [1]],
      ['decision', ['deny'], [1]],
      ['decision', ['allow', 'deny'], [0, 1, 2]],
      ['code', ['FORBIDDEN_BY_POLICY'], [1]],
      ['policy', ['platform/guard'], [1]],
      ['policy', ['tenant:beta/b'], [1]],
      ['policy', ['tenant:beta/err'], [1]],
      ['policy', ['tenant:acme/acme.data-scientist'], [0, 2]],
      ['bundle', ['sha256:p2'], [1]],
      ['requestId', ['r,1'], [1]],
      ['requestId', ['r'], []],
      ['level', ['tenant'], [1]],
    ])('the filter %s of %j finds %j, and negated the others', async (filter, values, expected) => {
      const { decisions } = log;
      const found = expected.map(entryId);
      expect(await decisions({ filters: { [filter]: { values, negated: false } } })).toEqual(found);
      const rest = [0, 1, 2].map(entryId).filter(id => !found.includes(id));
      expect(await decisions({ filters: { [filter]: { values, negated: true } } })).toEqual(rest);
    });

    test.each<[string, readonly string[], readonly string[], readonly number[]]>([
      ['of one principal', ['User::acme/alice'], [alice], [0]],
      ['of one id in several types', ['acme/alice'], [alice, agent], [0, 1]],
      ['of several principals', ['acme/carol', 'Agent::beta/bot'], [nobody, carol, bot], [2, 3]],
      ['that no leaf has', ['acme/nobody'], [nobody], []],
      ['given as they are', [`User::${alice}`, bot], [], [0, 3]],
      ['of the wrong type', [`Agent::${alice}`], [], []],
      ['of nobody, beside a name that leaves do not show', ['User::acme/alice'], [], []],
    ])('pseudonyms %s find its decisions, and negated the others', async (...row) => {
      const [, values, pseudonyms, expected] = row;
      const found = expected.map(entryId);
      const ask = (negated: boolean) =>
        people.decisions({ filters: { principal: { values, negated } }, pseudonyms });
      expect(await ask(false)).toEqual(found);
      expect(await ask(true)).toEqual([0, 1, 2, 3].map(entryId).filter(id => !found.includes(id)));
    });

    test('pseudonyms do nothing without a filter by principal', async () => {
      expect(await people.decisions({ pseudonyms: [alice] })).toHaveLength(4);
    });

    test('a cursor goes on when a principal got another pseudonym in between', async () => {
      const query = { filters: { principal: { values: ['acme/alice'], negated: false } }, limit: 1 };
      const alone = await people.page({ ...query, pseudonyms: [alice] });
      expect([ids(alone), alone.nextCursor]).toEqual([[entryId(0)], null]);
      const both = await people.page({ ...query, pseudonyms: [alice, agent] });
      const cursor = both.nextCursor ?? 'none';
      const next = await people.page({ ...query, cursor, pseudonyms: [nobody, agent, alice] });
      expect(ids(next)).toEqual([entryId(1)]);
    });

    test('all filters must hold', async () => {
      const { decisions } = log;
      const tenant = { values: ['acme'], negated: false };
      expect(
        await decisions({ filters: { tenant, model: { values: ['beta/llm'], negated: true } } }),
      ).toEqual([entryId(0), entryId(2)]);
      expect(
        await decisions({ filters: { tenant, decision: { values: ['deny'], negated: false } } }),
      ).toEqual([]);
    });
  });

  describe(`${name}: times`, () => {
    const times = [0, 120_000, 60_000, 59_999, 180_000];
    const log = fill(
      open,
      times.map((time, at) => decisionEntry(at, { time: TIME + time })),
    );

    test('from is inclusive and to exclusive, also when the clock stepped back', async () => {
      const between = (from?: number, to?: number) =>
        log.decisions({
          ...(from === undefined ? {} : { from: TIME + from }),
          ...(to === undefined ? {} : { to: TIME + to }),
        });
      expect(await between(60_000, 180_000)).toEqual([1, 2].map(entryId));
      expect(await between(59_999, 60_000)).toEqual([3].map(entryId));
      expect(await between(120_001)).toEqual([4].map(entryId));
      expect(await between(undefined, 1)).toEqual([0].map(entryId));
      expect(await between(180_001)).toEqual([]);
    });
  });

  describe(`${name}: tenants`, () => {
    const resource = { type: 'Model', id: 'host/llm' };
    const { tenant: _, ...global } = eventEntry(6);
    const log = fill(open, [
      decisionEntry(0, { request: requestOf({ tenant: 'data', resource }) }),
      decisionEntry(1, {
        request: requestOf({ tenant: 'x', resource, principalTenant: 'payroll', resourceTenant: 'owner' }),
      }),
      decisionEntry(2, {
        request: requestOf({
          tenant: 'x',
          principal: { type: 'User', id: 'p' },
          principalTenant: undefined,
          resource: { type: 'Tenant', id: 'self' },
        }),
      }),
      decisionEntry(3, {
        request: requestOf({
          tenant: 'x',
          principal: { type: 'User', id: 'y/p' },
          principalTenant: 'y',
          resource: { type: 'Model', id: 'z' },
        }),
      }),
      eventEntry(4, { tenant: 'acme' }),
      eventEntry(5, { tenant: 'beta' }),
      global,
    ]);

    test.each<[string, readonly string[] | undefined, readonly number[]]>([
      ['all tenants', undefined, [0, 1, 2, 3]],
      ['the tenant whose data was used', ['data'], [0]],
      ["the principal's tenant by its id", ['acme'], [0]],
      ["the principal's tenant by its attributes", ['payroll'], [1]],
      ["the resource's tenant by its id", ['host'], [0]],
      ["the resource's tenant by its attributes", ['owner'], [1]],
      ['a tenant that is the resource itself', ['self'], [2]],
      ['two tenants', ['host', 'self'], [0, 2]],
      ['a tenant that is not concerned', ['beta'], []],
      ['no tenant', [], []],
    ])('%s sees what concerns it', async (_name, tenants, expected) => {
      expect(await log.decisions(tenants === undefined ? {} : { tenants })).toEqual(expected.map(entryId));
      for (const at of [0, 1, 2, 3]) {
        const found = await log.decision(entryId(at), tenants);
        expect(found !== undefined).toBe(expected.includes(at));
      }
    });

    test('an event is seen by its tenant, and one of no tenant only by who may see all', async () => {
      expect(await log.events({ tenants: ['acme'] })).toEqual([entryId(4)]);
      expect(await log.events({ tenants: ['acme', 'beta'] })).toEqual([entryId(4), entryId(5)]);
      expect(await log.events()).toHaveLength(3);
    });
  });
}

function checked(policies: readonly string[], errors?: readonly string[]) {
  const [check] = decisionEntry(0).levels.action?.checks ?? [];
  if (check === undefined) throw new Error('the example has a check');
  return {
    decision: 'deny' as const,
    checks: [{ ...check, policies: [...policies], ...(errors === undefined ? {} : { errors: [...errors] }) }],
  };
}

function ids(page: Page<LoggedLeaf>): string[] {
  return page.items.map(({ content: { id } }) => (typeof id === 'string' ? id : ''));
}
