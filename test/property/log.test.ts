/** The SQLite log answers like the one in memory, whatever is appended, asked, closed, lost or cut short. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  DECISION_FILTERS,
  type DecisionFilterName,
  type DecisionQuery,
  type EventQuery,
  type ValueFilter,
} from '../../src/decision-log/ports.ts';
import { OUTCOME_STATES } from '../../src/decision-log/leaf-facts.ts';
import { planDecisions, planEvents } from '../../src/decision-log/query-plan.ts';
import { EVENT_KINDS, type LogEntry } from '../../src/domain/log-entry.ts';
import { REASON_CODES } from '../../src/domain/reason.ts';
import { LEVELS } from '../../src/domain/names.ts';
import { MemoryLog } from '../../src/store/memory/log.ts';
import { arbitraryEntries, entryId, halfMinutes, TIME } from '../decision-log/entries.ts';
import { pseudonymOf, testPrivacy } from '../decision-log/test-privacy.ts';
import { ORIGIN } from '../store/sqlite/sqlite-log.ts';
import { ThreadlessLog } from '../store/sqlite/threadless-log.ts';

const VALUES: Readonly<Record<DecisionFilterName, readonly string[]>> = {
  tenant: ['acme', 'beta', 'none'],
  principal: ['acme/alice', 'User::acme/alice', 'beta/a,b', 'Agent::gamma/!odd', 'x'],
  model: ['acme/llm', 'beta/llm', 'x'],
  action: ['generate', 'invoke', 'x'],
  decision: ['allow', 'deny'],
  code: REASON_CODES.slice(0, 5),
  policy: ['p1', 'p2', 'x'],
  bundle: ['b1', 'b3', 'x'],
  requestId: ['r1', 'r2', 'x'],
  level: LEVELS,
  outcome: OUTCOME_STATES,
};

function filterOf(values: readonly string[]): fc.Arbitrary<ValueFilter> {
  return fc.record({
    values: fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }),
    negated: fc.boolean(),
  });
}

const ranges = {
  from: halfMinutes.map(offset => TIME + offset),
  to: halfMinutes.map(offset => TIME + offset),
  tenants: fc.uniqueArray(fc.constantFrom('acme', 'beta', 'gamma', 'none'), { maxLength: 2 }),
  limit: fc.integer({ min: 1, max: 7 }),
  order: fc.constantFrom('asc', 'desc'),
};

const decisionQuery: fc.Arbitrary<DecisionQuery> = fc
  .record(
    {
      ...ranges,
      filters: fc
        .uniqueArray(fc.constantFrom(...DECISION_FILTERS), { maxLength: 3 })
        .chain(names => fc.tuple(...names.map(name => fc.tuple(fc.constant(name), filterOf(VALUES[name])))))
        .map((pairs): DecisionQuery['filters'] => Object.fromEntries(pairs)),
    },
    { requiredKeys: ['filters', 'limit', 'order'] },
  )
  .map(named);

/** Leaves know principals by pseudonym: a question by name has the pseudonyms of that name, in any type. */
function named(query: DecisionQuery): DecisionQuery {
  const pseudonyms = (query.filters.principal?.values ?? []).flatMap(value => {
    const [, type, id] = /^(?:(\w+)::)?(.*)$/.exec(value) ?? [];
    const types = type === undefined ? ['User', 'Agent', 'Service'] : [type];
    return types.map(one => pseudonymOf(`AI::${one}::"${id}"`));
  });
  return { ...query, pseudonyms };
}

const eventQuery: fc.Arbitrary<EventQuery> = fc.record(
  { ...ranges, kind: filterOf(EVENT_KINDS) },
  { requiredKeys: ['limit', 'order'] },
);

type Command =
  | { readonly kind: 'append'; readonly entries: readonly LogEntry[] }
  | { readonly kind: 'decisions'; readonly query: DecisionQuery }
  | { readonly kind: 'events'; readonly query: EventQuery }
  | { readonly kind: 'reopen' | 'lose index' | 'checkpoint' };

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: arbitraryEntries.map((entries): Command => ({ kind: 'append', entries })) },
  { weight: 4, arbitrary: decisionQuery.map((query): Command => ({ kind: 'decisions', query })) },
  { weight: 2, arbitrary: eventQuery.map((query): Command => ({ kind: 'events', query })) },
  fc.constantFrom<Command>({ kind: 'reopen' }, { kind: 'lose index' }, { kind: 'checkpoint' }),
);

test('the SQLite log equals the log in memory over random command sequences', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(command, { minLength: 3, maxLength: 20 }),
      fc.constantFrom(1, 250, 1_000, 10_000_000),
      async (commands, maxSteps) => {
        const sqlite = new ThreadlessLog({ maxSteps });
        const memory = new MemoryLog(ORIGIN, { privacy: testPrivacy() });
        try {
          for (const one of commands) {
            const { found, expected } = await runBoth(one, sqlite, memory);
            expect(found).toEqual(expected);
          }
        } finally {
          sqlite.dispose();
        }
      },
    ),
    { numRuns: 40 },
  );
});

async function runBoth(
  one: Command,
  sqlite: ThreadlessLog,
  memory: MemoryLog,
): Promise<{ found: readonly unknown[]; expected: readonly unknown[] }> {
  switch (one.kind) {
    case 'append': {
      // Decisions have ids of their own; events of two batches repeat each other.
      const entries = one.entries.map((entry, at) =>
        entry.kind === 'decision' ? { ...entry, id: entryId(1_000 + memory.size + at) } : entry,
      );
      const expected = [memory.size];
      for (const entry of entries) await memory.append(entry);
      return { found: [sqlite.append(entries)], expected };
    }
    case 'decisions': {
      const { items } = await memory.decisions({ ...one.query, limit: 1_000 });
      const plan = (cursor?: string) =>
        planDecisions(cursor === undefined ? one.query : { ...one.query, cursor });
      return { found: sqlite.all(plan), expected: items.map(({ json }) => json) };
    }
    case 'events': {
      const { items } = await memory.events({ ...one.query, limit: 1_000 });
      const plan = (cursor?: string) =>
        planEvents(cursor === undefined ? one.query : { ...one.query, cursor });
      return { found: sqlite.all(plan), expected: items.map(({ json }) => json) };
    }
    default:
      sqlite.run(one.kind);
      return { found: [], expected: [] };
  }
}
