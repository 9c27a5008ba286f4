/** A copy of the log, harmed in every way we can think of: each harm is found, at the right entry; peace is kept. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyTarget } from '../../src/cli/log-verify.ts';
import { recordingTerminal } from '../cli/recording-terminal.ts';
import { ordinaryLeaves, staticFiles, testSigner, writeFiles } from '../cli/static-log.ts';
import { COPY_MUTATORS, Dice, HarmedCopy } from './log-mutations.ts';

const MUTATIONS = 500;
const SIZE = 700;
const OLDER_SIZE = 600;
const SEED = 20_261_122;
/** A slow disk under load takes a while; alone, all of it takes some five seconds. */
const TIMEOUT_MS = 240_000;

const signer = testSigner();
const leaves = ordinaryLeaves(SIZE);
const files = staticFiles(leaves, signer);
const older = staticFiles(leaves.slice(0, OLDER_SIZE), signer);

let root: string;
let key: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'duramen-harm-'));
  key = join(root, 'auditor.vkey');
  writeFileSync(key, signer.verifierKey);
});
afterAll(() => rmSync(root, { recursive: true }));

function verify(tiles: string) {
  return verifyTarget(recordingTerminal(), { output: 'json', tiles, key, checkpoint: [], gatewayLog: [] });
}

describe(`${MUTATIONS} mutations of a copy`, () => {
  test(
    'are each found, with the first entry that is harmed',
    async () => {
      const folder = join(root, 'copy');
      writeFiles(folder, files);
      const copy = new HarmedCopy(folder, leaves, files, older);
      const dice = new Dice(SEED);
      const kinds = Object.entries(COPY_MUTATORS);
      const missed: unknown[] = [];
      for (let done = 0; done < MUTATIONS; ) {
        const [kind, mutate] = kinds[done % kinds.length] ?? dice.pick(kinds);
        const mutation = mutate(copy, dice);
        if (mutation === undefined) continue;
        const { verified, firstBad, findings } = await verify(folder);
        const right = mutation.index === undefined || mutation.index === firstBad;
        if (verified || !right)
          missed.push({ kind, ...mutation, verified, firstBad, findings: findings.slice(0, 3) });
        copy.mend();
        done += 1;
      }
      expect(missed).toEqual([]);
      expect(await verify(folder)).toMatchObject({ verified: true, findings: [] });
    },
    TIMEOUT_MS,
  );
});

test('a copy that nobody touched raises no alarm, whatever its size', async () => {
  const dice = new Dice(SEED);
  const sizes = [0, 1, 255, 256, 257, ...Array.from({ length: 35 }, () => dice.roll(SIZE))];
  for (const size of sizes) {
    const folder = mkdtempSync(join(root, 'calm-'));
    writeFiles(folder, staticFiles(leaves.slice(0, size), signer));
    expect(await verify(folder), `of ${size} entries`).toMatchObject({ verified: true, findings: [] });
  }
});
