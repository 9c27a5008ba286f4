/** Cosigned checkpoints that were kept: only what the log and a configured witness signed comes back. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type KnownWitness, readCosigned } from '../../src/decision-log/cosigned-checkpoint.ts';
import { cosignatureVerifier } from '../../src/decision-log/cosignature.ts';
import { parseNote } from '../../src/decision-log/signed-note.ts';
import { Witness } from '../store/anchors/witness.ts';
import { GrowingLog } from './growing-log.ts';

const log = new GrowingLog().grow(4);
let one: Witness;
let two: Witness;
beforeEach(async () => {
  one = await Witness.start('witness.example/one', 7);
  two = await Witness.start('witness.example/two', 8);
  two.time = one.time + 5;
});
afterEach(() => Promise.all([one.close(), two.close()]));

const known = (...witnesses: readonly Witness[]): readonly KnownWitness[] =>
  witnesses.map(({ name, verifierKey }) => ({
    anchor: `witness:${name}`,
    verifier: cosignatureVerifier(verifierKey),
  }));

async function cosigned(...witnesses: readonly Witness[]): Promise<string> {
  const { note } = await log.signCheckpoint();
  return note + witnesses.map(witness => witness.cosign(parseNote(note).text)).join('');
}

describe('a kept checkpoint', () => {
  test('comes back as it was, with the names of its witnesses and the time of the last', async () => {
    const note = await cosigned(one, two);
    const { note: own, ...head } = await log.signCheckpoint();
    expect(readCosigned(note, log.judge(), known(one, two))).toEqual({
      note,
      checkpoint: { ...head, note: own, time: two.time * 1000 },
      witnesses: ['witness:witness.example/one', 'witness:witness.example/two'],
    });
  });

  test('loses the lines of witnesses that are not configured any more', async () => {
    const kept = readCosigned(await cosigned(one, two), log.judge(), known(two));
    expect(kept?.note).toBe(await cosigned(two));
    expect(kept?.witnesses).toEqual(['witness:witness.example/two']);
  });

  test('is nothing without a cosignature, or of another log', async () => {
    const other = new GrowingLog('test.example/other').grow(4);
    expect(readCosigned(await cosigned(), log.judge(), known(one))).toBeUndefined();
    expect(readCosigned(await cosigned(one), log.judge(), known(two))).toBeUndefined();
    expect(readCosigned(await cosigned(one), other.judge(), known(one))).toBeUndefined();
  });

  test('that was changed, or that the log did not sign, is refused', async () => {
    const note = await cosigned(one);
    const changed = note.replace('\n4\n', '\n5\n');
    const forged = new GrowingLog(log.origin, log.leaves, 2);
    expect(() => readCosigned(changed, log.judge(), known(one))).toThrow(/is not over this text/);
    expect(() => readCosigned(note, forged.judge(), known(one))).toThrow(/not signed by the key of this log/);
  });
});
