/** Cosignatures of witnesses, against two checkpoints of the tests of another log (FiloSottile/sunlight, skylight). */
import { describe, expect, test } from 'vitest';
import { cosignatureTime, cosignatureVerifier } from '../../src/decision-log/cosignature.ts';
import { ed25519Verifier, openNote, parseNote, signNote } from '../../src/decision-log/signed-note.ts';
import { witnessKey } from './witness-key.ts';

const PUBLISHED = [
  {
    key: 'mirror.example.org+3fb148ef+BAAjjch9GyYz0sJsJx7ALhbdAtz2ov0unbzSl1vMp94O',
    note:
      'rome2026h1.example.org\n300\ngw31yQrqZZCcEOPrzX+bpy3nJ6QgngTKn8G1m0i62uU=\n\n' +
      '\u2014 mirror.example.org P7FI7wAAAABpVGeAjA1S4pJm6MbcXjX7UUImu4azZtrfcVW2uyr/LXIYlwEJzXC0N0EiZkbqfLdXt/4gVEEuGmxJjAfXKMCISpsJAg==\n',
  },
  {
    key: 'witness.example.org+b8a2cf20+BFLN3yikSfFkVAJtrnh/CiY3Zozkoy7clp+P7XB28qUN',
    note:
      'rome2026h1.example.org\n300\nlCkHUpkmVBEms2r2T1K6Og69+wUuuN3MIEW1/ezu2v0=\n\n' +
      '\u2014 rome2026h1.example.org kVB1JgAAAZtxtEwABAMARzBFAiEAi+mTa2xjL1IdWpH82OeciGsGvwRAP+f1WkfKaSZCfFECIHoNPZ/Q3y6UNzvKOO9cuLr6V16vPNfhwhle9f6r5H/Z\n' +
      '\u2014 witness.example.org uKLPIAAAAABpVGeAhm2bOvKc3LaB9PFN1ruG19Y5yqslmcAAbhftnn1Zznmo0LXFZq4LGvqKqLX8jWlwLKasxEGTLIqAVusneCBmBw==\n',
  },
];

describe.each(PUBLISHED)('the published cosignature of $key', ({ key, note }) => {
  const verifier = cosignatureVerifier(key);

  test('holds, at its time', () => {
    const [line] = openNote(note, [verifier]).signatures;
    expect(line?.name).toBe(verifier.name);
    expect(cosignatureTime(line?.signature ?? new Uint8Array(0))).toBe(Date.UTC(2025, 11, 31) / 1000);
  });

  test('does not hold over another checkpoint', () => {
    expect(() => openNote(note.replace('\n300\n', '\n301\n'), [verifier])).toThrow('not over this text');
  });
});

describe('a cosignature', () => {
  const TEXT = 'example.com/log\n5\nAAAA\n';
  const witness = witnessKey('witness.example', Buffer.alloc(32, 3), () => 1_700_000_000);
  const note = signNote(TEXT, [witness]);
  const verifier = cosignatureVerifier(witness.verifierKey);

  test('holds with its time', () => {
    const [line] = openNote(note, [verifier]).signatures;
    expect(cosignatureTime(line?.signature ?? new Uint8Array(0))).toBe(1_700_000_000);
  });

  test('does not hold at another time', () => {
    const [line] = parseNote(note).signatures;
    const signature = Buffer.from(line?.signature ?? []);
    signature.writeBigUInt64BE(1_700_000_001n);
    expect(verifier.verify(TEXT, signature)).toBe(false);
    signature.writeBigUInt64BE(1_700_000_000n);
    expect(verifier.verify(TEXT, signature)).toBe(true);
  });

  test('of another length, or with a time beyond all clocks, never holds', () => {
    expect(verifier.verify(TEXT, new Uint8Array(71))).toBe(false);
    expect(verifier.verify(TEXT, new Uint8Array(73))).toBe(false);
    expect(verifier.verify(TEXT, new Uint8Array(72).fill(0xff))).toBe(false);
    expect(cosignatureTime(new Uint8Array(72).fill(0xff))).toBeUndefined();
  });

  test('is not taken for a signature of a log, nor the other way round', () => {
    expect(() => ed25519Verifier(witness.verifierKey)).toThrow('its type is 4');
    const log = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
    expect(() => cosignatureVerifier(log)).toThrow('not that of a witness');
  });
});
