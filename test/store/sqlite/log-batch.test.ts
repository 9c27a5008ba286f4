/** Batches of leaves between two threads: what was put in comes out, in order, with what completes it. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LateValues } from '../../../src/decision-log/late-values.ts';
import { claimOf } from '../../../src/decision-log/commitment.ts';
import { MAX_LEAF_BYTES } from '../../../src/decision-log/leaf.ts';
import { LeafBatch, leafFrames } from '../../../src/store/sqlite/log-batch.ts';

const key = new Uint8Array(32).fill(9);
/** Most bytes of personal values and of a journal. */
const MAX_LATE_BYTES = 61_440;
const MAX_JOURNAL_BYTES = 65_536;

function late(claim: string): LateValues {
  return { decisionId: 'd1', subject: { pseudonym: 'p:someone', key }, claims: [claim], mac: undefined };
}

const text = fc.string({ unit: 'binary', maxLength: 20 }).filter(one => one.isWellFormed());
const keyBytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
const claim = fc
  .tuple(text, fc.oneof(text, fc.integer(), fc.array(text, { maxLength: 3 })))
  .map(([name, value]) => claimOf(name, value));

const leaf = fc.record({
  text: fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }).filter(text => text.isWellFormed()),
  late: fc.option(
    fc.record({
      decisionId: fc.uuid(),
      subject: fc.option(
        fc.record({ pseudonym: fc.stringMatching(/^[pu]:[A-Za-z0-9_-]{22}$/), key: keyBytes }),
        { nil: undefined },
      ),
      claims: fc.array(claim, { maxLength: 3 }),
      mac: fc.option(fc.record({ key: keyBytes, message: fc.stringMatching(/^[ -~\0]{0,40}$/) }), {
        nil: undefined,
      }),
    }),
    { nil: undefined },
  ),
  journal: fc.option(fc.uint8Array({ minLength: 1, maxLength: 90 }), { nil: undefined }),
});

test('leaves, late values and journals come out as they were put in', () => {
  fc.assert(
    fc.property(fc.array(leaf, { minLength: 1, maxLength: 40 }), leaves => {
      const batch = new LeafBatch();
      for (const one of leaves) expect(batch.add(one.text, one.late, one.journal)).toBe(true);
      expect(batch.count).toBe(leaves.length);
      const found = [...leafFrames(batch.shared, batch.used)].map(frame => ({
        prefix: frame.prefixed[0],
        text: Buffer.from(frame.prefixed.subarray(1)).toString(),
        late: frame.late === undefined ? undefined : plain(frame.late),
        journal: frame.journal === undefined ? undefined : Uint8Array.from(frame.journal),
      }));
      expect(found).toEqual(leaves.map(one => ({ prefix: 0, ...one })));
    }),
  );
});

/** With keys that are no views of the batch. */
function plain({ decisionId, subject, claims, mac }: LateValues): LateValues {
  return {
    decisionId,
    subject: subject === undefined ? undefined : { ...subject, key: Uint8Array.from(subject.key) },
    claims,
    mac: mac === undefined ? undefined : { ...mac, key: Uint8Array.from(mac.key) },
  };
}

describe('a batch', () => {
  test('that is empty takes the largest entry, and one that is full no more', () => {
    const batch = new LeafBatch();
    const largest = [
      'x'.repeat(MAX_LEAF_BYTES),
      late('y'.repeat(MAX_LATE_BYTES - 60)),
      new Uint8Array(MAX_JOURNAL_BYTES),
    ] as const;
    let count = 0;
    while (batch.add(...largest)) count++;
    expect([count > 1, batch.count]).toEqual([true, count]);
    expect(batch.add('z', undefined)).toBe(true);
    batch.clear();
    expect([batch.used, batch.add(...largest)]).toEqual([0, true]);
  });

  test('refuses a message that could pass for two of its texts', () => {
    const values = { decisionId: 'd1', subject: undefined, claims: [], mac: { key, message: 'a\nb' } };
    expect(() => new LeafBatch().add('x', values)).toThrow('line break');
  });

  test.each<[string, string, LateValues | undefined, number]>([
    ['a leaf', 'x'.repeat(MAX_LEAF_BYTES + 1), undefined, 0],
    ['a leaf that is longer in UTF-8', 'ü'.repeat(MAX_LEAF_BYTES - 1), undefined, 0],
    ['personal values', 'x', late('y'.repeat(MAX_LATE_BYTES)), 0],
    ['a journal', 'x', undefined, MAX_JOURNAL_BYTES + 1],
  ])('refuses %s beyond its limit, and stays as it was', (_name, text, values, journalBytes) => {
    const batch = new LeafBatch();
    batch.add('before', undefined);
    const { used } = batch;
    expect(() => batch.add(text, values, new Uint8Array(journalBytes))).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    );
    expect([batch.used, batch.count]).toEqual([used, 1]);
    expect([...leafFrames(batch.shared, batch.used)]).toHaveLength(1);
  });
});
