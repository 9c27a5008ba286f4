/** Persons in questions and answers: found by name, shown by name while they are known, and a pseudonym ever after. */
import { beforeEach, describe, expect, test } from 'vitest';
import { entryView, NOTHING_OPENED, type Opened } from '../../src/decision-log/entry-view.ts';
import { loggedLeaf } from '../../src/decision-log/logged-leaf.ts';
import type { DecisionQuery, LoggedLeaf, SubjectResolver } from '../../src/decision-log/ports.ts';
import { LeafOpener, type Openers, withPseudonyms } from '../../src/decision-log/query-subjects.ts';
import { MemoryLog } from '../../src/store/memory/log.ts';
import { decisionEntry, eventEntry, requestOf } from './entries.ts';
import { pseudonymOf, testPrivacy } from './test-privacy.ts';

const ALICE = 'AI::User::"acme/alice"';
const BOB = 'AI::User::"acme/bob"';

async function openLeaves(leaves: readonly LoggedLeaf[], openers: Openers): Promise<readonly Opened[]> {
  const opener = new LeafOpener(openers);
  for (const leaf of leaves) opener.takeIn(leaf);
  await opener.fetch();
  return leaves.map(leaf => opener.open(leaf));
}

/** Knows Alice and Bob, counts how often it is asked, and can forget. */
class CountingResolver implements SubjectResolver {
  readonly known = new Set([ALICE, BOB]);
  readonly asked: string[] = [];

  async resolve(pseudonyms: Iterable<string>) {
    this.asked.push('resolve');
    const found = [...this.known].map((entity): [string, string] => [pseudonymOf(entity), entity]);
    return new Map(found.filter(([pseudonym]) => [...pseudonyms].includes(pseudonym)));
  }

  async pseudonymsOf(type: string | undefined, id: string) {
    return [`${type ?? '*'} ${id} 1`, `${type ?? '*'} ${id} 2`];
  }

  async keys(pseudonyms: Iterable<string>) {
    this.asked.push('keys');
    const privacy = testPrivacy();
    const found = [...this.known].flatMap((entity): [string, Uint8Array][] => {
      const subject = privacy.subject(entity);
      return subject === undefined ? [] : [[subject.pseudonym, subject.key]];
    });
    return new Map(found.filter(([pseudonym]) => [...pseudonyms].includes(pseudonym)));
  }
}

describe('a question', () => {
  const query = (...values: string[]): DecisionQuery => ({
    filters: { principal: { values, negated: true } },
    limit: 10,
    order: 'asc',
  });

  test.each([
    ['a bare id means every type', 'acme/alice', ['* acme/alice 1', '* acme/alice 2']],
    [
      'a type and an id mean that type, or an id with colons',
      'User::acme/alice',
      ['User acme/alice 1', 'User acme/alice 2', '* User::acme/alice 1', '* User::acme/alice 2'],
    ],
    ['a type without principals is part of an id', 'Model::m', ['* Model::m 1', '* Model::m 2']],
    ['an id may begin with colons', '::m', ['* ::m 1', '* ::m 2']],
  ])('%s', async (_name, value, pseudonyms) => {
    const asked = await withPseudonyms(query(value), new CountingResolver());
    expect(asked).toEqual({ ...query(value), pseudonyms });
  });

  test('of several principals has the pseudonyms of all, each once', async () => {
    const asked = await withPseudonyms(query('a', 'b', 'a'), new CountingResolver());
    expect(asked.pseudonyms).toEqual(['* a 1', '* a 2', '* b 1', '* b 2']);
  });

  test('about no principal stays as it is', async () => {
    const plain: DecisionQuery = { filters: {}, limit: 10, order: 'asc' };
    expect(await withPseudonyms(plain, new CountingResolver())).toBe(plain);
  });
});

describe('an answer', () => {
  let log: MemoryLog;
  let subjects: CountingResolver;

  beforeEach(async () => {
    log = new MemoryLog('duramen.test/subjects', { privacy: testPrivacy() });
    subjects = new CountingResolver();
    for (const at of [0, 1, 2]) {
      const principal = { type: 'User', id: at === 1 ? 'acme/bob' : 'acme/alice' };
      const context = at === 2 ? {} : { ip: `10.0.0.${at}` };
      await log.append(decisionEntry(at, { request: requestOf({ principal, context }) }));
    }
    await log.append(eventEntry(3, { subject: ALICE }));
  });

  async function leaves(): Promise<readonly LoggedLeaf[]> {
    const [decisions, events] = await Promise.all([
      log.decisions({ filters: {}, limit: 10, order: 'asc' }),
      log.events({ limit: 10, order: 'asc' }),
    ]);
    return [...decisions.items, ...events.items];
  }

  const views = (shown: readonly LoggedLeaf[], opened: readonly Opened[]) =>
    shown.map((leaf, at) => JSON.stringify(entryView(leaf.content, opened[at] ?? NOTHING_OPENED)));

  test('opens ids and personal values of a page with one call of each kind', async () => {
    const shown = await leaves();
    const [first, second, third, event] = views(shown, await openLeaves(shown, { log, subjects }));
    expect(first).toContain('"ip":"10.0.0.0"');
    expect(first).toContain('"id":"acme/alice"');
    expect(second).toContain('"ip":"10.0.0.1"');
    expect(second).toContain('"id":"acme/bob"');
    expect(third).not.toContain('"ip"');
    expect(event).toContain('acme/alice');
    expect(subjects.asked.toSorted()).toEqual(['keys', 'resolve']);
  });

  test('leaves what was erased a pseudonym and a digest, and opens the others', async () => {
    subjects.known.delete(ALICE);
    const shown = await leaves();
    const opened = await openLeaves(shown, { log, subjects });
    const [first, second, , event] = views(shown, opened);
    expect(first).not.toMatch(/10\.0\.0|acme\/alice/);
    expect(first).toContain(pseudonymOf(ALICE));
    expect(first).toContain('"_sd"');
    expect(event).not.toContain('acme/alice');
    expect(second).toContain('"ip":"10.0.0.1"');
    expect(opened.map(({ disclosures }) => disclosures.length)).toEqual([0, 1, 0, 0]);
  });

  test('opens nothing with the openings of another decision', async () => {
    const [first, second] = await leaves();
    const shown = [first, second].filter(leaf => leaf !== undefined);
    const swapped = {
      openings: async (indexes: readonly number[]) => {
        const found = await log.openings(indexes);
        return new Map([...found].map(([index, opening]) => [1 - index, opening]));
      },
    };
    const opened = await openLeaves(shown, { log: swapped, subjects });
    expect(opened.map(({ disclosures }) => disclosures)).toEqual([[], []]);
  });

  test('asks nobody about leaves of format 1, which are in clear', async () => {
    const json =
      '{"id":"x","kind":"decision","request":{"principal":{"id":"acme/alice","type":"User"}},"v":1}';
    const leaf = loggedLeaf(0, '', json);
    const [opened = NOTHING_OPENED] = await openLeaves([leaf], { log, subjects });
    expect(subjects.asked).toEqual([]);
    expect(entryView(leaf.content, opened)).toBe(leaf.content);
  });
});
