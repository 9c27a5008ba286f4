/**
 * Checkpoints, byte for byte those of another log: origin, key, leaves and signatures are those of the test log of
 * transparency-dev/tessera (testdata/log); Ed25519 signatures have one form only.
 */
import { describe, expect, test } from 'vitest';
import {
  formatCheckpoint,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from '../../src/decision-log/checkpoint.ts';
import { Frontier } from '../../src/decision-log/frontier.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { ed25519Signer, ed25519Verifier, formatSignerKey } from '../../src/decision-log/signed-note.ts';

const SECRET = 'PRIVATE+KEY+example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg';
const KEY = 'example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx';
const ORIGIN = 'example.com/log/testdata';
const LEAVES = 'one two three four five six seven eit nain ten ileven twelf threeten fourten fivten'.split(
  ' ',
);
const PUBLISHED: readonly [number, string, string][] = [
  [
    0,
    '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=',
    'M9e0lhxJACzE1KoUdqKuPa+9p6R7dSW8BlEvrg/noo8FkGg6PbJoRNOcdjqjOq89wVvTA60eubCc4oufo5BvIVEgtQc=',
  ],
  [
    1,
    '0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=',
    'M9e0lhr9kuLxGdAtaUrhm84TQffVsLdcy808sN0a3WyniNlfcr9+bywoiIke1YYciCNjJGkCgIlQ8b16jhsmg/SChAM=',
  ],
  [
    7,
    'IrSXADBqJ7EQoUODSDKROySgNveeL6CFhik2w/+fS7U=',
    'M9e0luA5JhTRUki/BBQD0QNiH6AEJ2pdtsA5CQjqJErViuuKrN6513RCTL2640wXJv0dCed3neRGI6dMzBq9uANf2Qc=',
  ],
  [
    8,
    'bC+VwvrJbalNVjfkdI8kUgs7mJoXrqiXCE7bgnD28pY=',
    'M9e0lq1EK37dHtgv9O3UzPxisw5vwIPcJsX9ab0xt4mvVfbdUR1fbMjN6sBFYpBoBEmD4+cWhj/AVgI5MitCO5+mews=',
  ],
  [
    13,
    'av0kLH0VkkVDrTuZzBGIx7d9z5G1l/GlKz/nAV/8woQ=',
    'M9e0liO8x8xfEOGmZVYODUjQajkEpjccPQ9EkG3yEEDet4K3BWE/DFRPH6H+b6gFFFaG5KS1bBmYS/xeZJs8lj+z+wM=',
  ],
  [
    15,
    'rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=',
    'M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=',
  ],
];

const signer = ed25519Signer(SECRET);
const verifier = ed25519Verifier(KEY);

test.each(PUBLISHED)(
  'the published checkpoint of %i leaves is reproduced byte for byte',
  (size, root, signature) => {
    const frontier = new Frontier();
    for (const leaf of LEAVES.slice(0, size)) frontier.append(leafHash(Buffer.from(leaf)));
    const note = signCheckpoint({ origin: ORIGIN, size, root: frontier.root() }, [signer]);
    expect(note).toBe(`${ORIGIN}\n${size}\n${root}\n\n\u2014 ${ORIGIN} ${signature}\n`);
    expect(openCheckpoint(note, verifier)).toEqual({
      origin: ORIGIN,
      size,
      root: Buffer.from(root, 'base64'),
    });
  },
);

describe('a checkpoint is not opened', () => {
  const root = Buffer.alloc(32, 7);

  test('when it is of another log, though the same key signed it', () => {
    const note = signCheckpoint({ origin: 'example.com/other', size: 1, root }, [signer]);
    expect(() => openCheckpoint(note, verifier)).toThrow('is of `example.com/other`');
    expect(openCheckpoint(note, verifier, 'example.com/other').size).toBe(1);
  });

  test('when another key of the same name signed it', () => {
    const other = ed25519Signer(formatSignerKey(ORIGIN, Buffer.alloc(32, 9)));
    const note = signCheckpoint({ origin: ORIGIN, size: 1, root }, [other]);
    expect(() => openCheckpoint(note, verifier)).toThrow('not signed by');
  });

  test('when one digit of it was changed', () => {
    const note = signCheckpoint({ origin: ORIGIN, size: 12, root }, [signer]);
    expect(() => openCheckpoint(note.replace('\n12\n', '\n13\n'), verifier)).toThrow('not over this text');
  });
});

const ROOT = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';

test('lines after the root are passed over', () => {
  expect(parseCheckpoint(`o\n1\n${ROOT}\nextension\n`)).toEqual({
    origin: 'o',
    size: 1,
    root: Buffer.alloc(32),
  });
});

test.each([
  ['', 'origin is empty'],
  ['o\n1\n', 'root'],
  [`o\n1\n${ROOT}`, 'newline'],
  [`\n1\n${ROOT}\n`, 'origin is empty'],
  [`o\n\n${ROOT}\n`, 'tree size'],
  [`o\n01\n${ROOT}\n`, 'tree size'],
  [`o\n+1\n${ROOT}\n`, 'tree size'],
  [`o\n-1\n${ROOT}\n`, 'tree size'],
  [`o\n1 \n${ROOT}\n`, 'tree size'],
  [`o\n1e3\n${ROOT}\n`, 'tree size'],
  [`o\n9007199254740992\n${ROOT}\n`, 'tree size'],
  [`o\n18446744073709551616\n${ROOT}\n`, 'tree size'],
  [`o\n1\n${ROOT.slice(0, -1)}\n`, 'root'],
  [`o\n1\n${ROOT.slice(4)}\n`, 'root'],
  [`o\n1\n${ROOT.replace('AAA=', 'AAB=')}\n`, 'root'],
  [`o\n1\n${ROOT}\n\n`, 'empty line'],
  [`o\n1\n${ROOT}\n${'x\n'.repeat(14)}`, 'more than 16 lines'],
])('the text %j is malformed', (text, why) => {
  expect(() => parseCheckpoint(text)).toThrow(why);
});

test('a checkpoint that no tree has is not written', () => {
  const root = Buffer.alloc(32);
  expect(() => formatCheckpoint({ origin: '', size: 1, root })).toThrow('no checkpoint has');
  expect(() => formatCheckpoint({ origin: 'a\nb', size: 1, root })).toThrow('no checkpoint has');
  expect(() => formatCheckpoint({ origin: 'a', size: -1, root })).toThrow('no checkpoint has');
  expect(() => formatCheckpoint({ origin: 'a', size: 1, root: root.subarray(1) })).toThrow(
    'no checkpoint has',
  );
});
