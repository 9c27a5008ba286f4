/**
 * Signed notes against vectors of others (Go's sumdb/note tests, the example of c2sp.org/signed-note), and
 * everything about them that must be refused.
 */
import { describe, expect, test } from 'vitest';
import {
  ED25519,
  ed25519Signer,
  ed25519Verifier,
  formatNote,
  formatSignerKey,
  formatVerifierKey,
  isKeyName,
  keyIdOf,
  MAX_NOTE_BYTES,
  openNote,
  parseNote,
  parseVerifierKey,
  signNote,
  verifiedSignatures,
} from '../../src/decision-log/signed-note.ts';
import { messageOf } from '../../src/domain/errors.ts';

const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const PETER_SECRET = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const ENOCH = 'EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop';
const TEXT =
  'If you think cryptography is the answer to your problem,\n' +
  "then you don't know what your problem is.\n";
const PETER_LINE =
  '\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const ENOCH_LINE =
  '\u2014 EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n';
const NOTE = `${TEXT}\n${PETER_LINE}`;

const peter = ed25519Verifier(PETER);
const enoch = ed25519Verifier(ENOCH);

describe('the published notes', () => {
  test('are signed to the same bytes', () => {
    const signer = ed25519Signer(PETER_SECRET);
    expect(signer.verifierKey).toBe(PETER);
    expect(signNote(TEXT, [signer])).toBe(NOTE);
  });

  test('open with one key and with both', () => {
    const both = `${NOTE}${ENOCH_LINE}`;
    expect(openNote(both, [peter]).signatures.map(({ name }) => name)).toEqual(['PeterNeumann']);
    expect(openNote(both, [peter, enoch]).signatures.map(({ name }) => name)).toEqual([
      'PeterNeumann',
      'EnochRoot',
    ]);
    expect(openNote(Buffer.from(both), [enoch]).text).toBe(TEXT);
  });

  test('of the specification opens', () => {
    const verifier = ed25519Verifier('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k');
    const note =
      'This is an example message.\n\n' +
      '\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';
    expect(openNote(note, [verifier]).text).toBe('This is an example message.\n');
  });
});

describe('a note is not opened', () => {
  test('without a key that signed it', () => {
    expect(() => openNote(NOTE, [])).toThrow('not signed by any key');
    expect(() => openNote(NOTE, [enoch])).toThrow('not signed by `EnochRoot+af0cfe78`');
  });

  test('when any byte of it was changed', () => {
    const bytes = Buffer.from(NOTE);
    for (let at = 0; at < bytes.length; at++) {
      for (const flip of [0x01, 0x20, 0x80]) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        expect(() => openNote(changed, [peter])).toThrow(/malformed|not over this text|not signed/);
      }
    }
  });

  test('when it was cut short or has more', () => {
    for (let end = 0; end < NOTE.length; end++) {
      expect(() => openNote(NOTE.slice(0, end), [peter])).toThrow('malformed');
    }
    expect(() => openNote(`${NOTE}x`, [peter])).toThrow('malformed');
    expect(() => openNote(`${NOTE}Unexpected line.\n`, [peter])).toThrow('malformed');
  });

  test('when a known key signed wrongly beside another that signed well', () => {
    const forged = ENOCH_LINE.replace('rwz+eBzm', 'rwz+eBzn');
    expect(() => openNote(`${NOTE}${forged}`, [peter, enoch])).toThrow('`EnochRoot` is not over this text');
    expect(openNote(`${NOTE}${forged}`, [peter]).text).toBe(TEXT);
  });

  test('when another key has the same name or the same id', () => {
    const sameName = PETER_LINE.replace('x08go', 'x08gp');
    const sameId = PETER_LINE.replace('PeterNeumann', 'CarmenSandiego');
    for (const line of [sameName, sameId]) {
      expect(() => openNote(`${TEXT}\n${line}`, [peter])).toThrow('not signed by');
    }
  });
});

test.each<[string, string | Uint8Array]>([
  ['only a text', TEXT],
  ['no signature', `${TEXT}\n`],
  ['no newline at the end', NOTE.slice(0, -1)],
  ['no blank line', `${TEXT}${PETER_LINE}`],
  ['a control character', `\u0001${NOTE}`],
  ['a carriage return', NOTE.replaceAll('\n', '\r\n')],
  ['a tab', `a\tb\n\n${PETER_LINE}`],
  ['bytes that are not UTF-8', Buffer.concat([Buffer.of(0xff), Buffer.from(NOTE)])],
  ['half of a surrogate pair', `\ud800${NOTE}`],
  ['a space in a name', `${TEXT}\n${PETER_LINE.replace('PeterNeumann', 'Peter Neumann')}`],
  ['a wide space in a name', `${TEXT}\n${PETER_LINE.replace('PeterNeumann', 'Peter\u3000Neumann')}`],
  ['a plus in a name', `${TEXT}\n${PETER_LINE.replace('PeterNeumann', 'Peter+Neumann')}`],
  ['an empty name', `${TEXT}\n${PETER_LINE.replace('PeterNeumann', '')}`],
  ['a hyphen for the dash', `${TEXT}\n${PETER_LINE.replace('\u2014', '-')}`],
  ['two spaces', `${TEXT}\n${PETER_LINE.replace('Neumann ', 'Neumann  ')}`],
  ['a signature that is not base64', `${TEXT}\n${PETER_LINE.replace('x08go', 'x08g!')}`],
  ['base64 without padding', `${TEXT}\n${PETER_LINE.replace('=\n', '\n')}`],
  ['base64 with stray bits', `${TEXT}\n${PETER_LINE.replace('nAM=', 'nAN=')}`],
  ['base64 of the URL alphabet', `${TEXT}\n${PETER_LINE.replace('/', '_')}`],
  ['a signature of the id alone', `${TEXT}\n\u2014 PeterNeumann x08gow==\n`],
  ['more than 100 signatures', `${TEXT}\n${PETER_LINE.repeat(101)}`],
  ['too many bytes', `${'x'.repeat(MAX_NOTE_BYTES)}\n\n${PETER_LINE}`],
  ['nothing', ''],
])('a note with %s is malformed', (_what, note) => {
  expect(() => parseNote(note)).toThrow('the note is malformed');
});

test('a hundred signatures are read, and one key counts once', () => {
  const note = parseNote(`${TEXT}\n${PETER_LINE.repeat(100)}`);
  expect(note.signatures).toHaveLength(100);
  expect(verifiedSignatures(note, [peter])).toHaveLength(1);
});

test('the text ends at the last blank line', () => {
  const text = 'first\n\nsecond\n';
  const note = signNote(text, [ed25519Signer(PETER_SECRET)]);
  expect(openNote(note, [peter]).text).toBe(text);
});

test('a note that could not be read back is not written', () => {
  const signer = ed25519Signer(PETER_SECRET);
  expect(() => signNote('no newline', [signer])).toThrow('malformed');
  expect(() => signNote('tab\t\n', [signer])).toThrow('malformed');
  expect(() => signNote(TEXT, [])).toThrow('no signature');
  expect(formatNote(parseNote(NOTE))).toBe(NOTE);
});

describe('a key', () => {
  test.each([
    ['verifier', PETER, parseVerifierKey],
    ['signing', PETER_SECRET, ed25519Signer],
  ])('for %s is refused when any part of it is missing or changed', (_what, key, parse) => {
    for (let from = 0; from <= key.length; from++) {
      for (let to = from; to < key.length; to++) {
        expect(() => parse(key.slice(from, to))).toThrow('is malformed');
      }
    }
    for (let from = 1; from < key.length; from++)
      expect(() => parse(key.slice(from))).toThrow('is malformed');
    for (let at = 0; at < key.length; at++) {
      const next = String.fromCharCode(key.charCodeAt(at) + 1);
      expect(() => parse(`${key.slice(0, at)}${next}${key.slice(at + 1)}`)).toThrow('is malformed');
    }
  });

  test('of the wrong length or an unknown type is refused, even with the right id', () => {
    const long = formatVerifierKey('PeterNeumann', ED25519, new Uint8Array(33));
    const unknown = 'PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
    expect(() => parseVerifierKey(long)).toThrow('33 bytes instead of 32');
    expect(() => parseVerifierKey(unknown)).toThrow('its type is 101');
  });

  test('that is refused is not shown when it is secret', async () => {
    const seed = 'AYEKFALVFGyNhPJEMzD1QIDr';
    for (const broken of [PETER_SECRET.slice(0, -1), PETER_SECRET.replace('c74f20a3', 'c74f20a4')]) {
      const outcome = new Promise(() => ed25519Signer(broken)).catch(messageOf);
      await expect(outcome).resolves.toContain('malformed');
      await expect(outcome).resolves.not.toContain(seed);
    }
  });

  test('is read with the newline of the file it stands in', () => {
    expect(parseVerifierKey(`${PETER}\n`).keyId).toBe('c74f20a3');
    expect(ed25519Signer(`${PETER_SECRET}\n`).keyId).toBe('c74f20a3');
  });

  test('is made from a seed, and signs what its verifier key verifies', () => {
    const seed = Buffer.from(PETER_SECRET.split('+').slice(4).join('+'), 'base64').subarray(1);
    expect(formatSignerKey('PeterNeumann', seed)).toBe(PETER_SECRET);
    const other = ed25519Signer(formatSignerKey('duramen.example/log', Buffer.alloc(32, 1)));
    const note = signNote(TEXT, [other]);
    expect(openNote(note, [ed25519Verifier(other.verifierKey)]).text).toBe(TEXT);
    expect(() => formatSignerKey('two words', seed)).toThrow('has a space or a plus');
    expect(() => formatSignerKey('a', seed.subarray(1))).toThrow('32 bytes');
  });

  test('has an id that depends on its name and its type', () => {
    const { publicKey } = parseVerifierKey(PETER);
    expect(keyIdOf('PeterNeumann', 1, publicKey)).toBe('c74f20a3');
    expect(keyIdOf('PeterNeumann', 4, publicKey)).not.toBe('c74f20a3');
    expect(keyIdOf('EnochRoot', 1, publicKey)).not.toBe('c74f20a3');
  });

  test.each([
    ['example.com/log', true],
    ['duramen.local/3f2a', true],
    ['', false],
    ['a b', false],
    ['a+b', false],
    ['a\u00a0b', false],
    ['a\u2028b', false],
    ['a\u0085b', false],
    ['a\nb', false],
    ['\ud800', false],
  ])('may be named %j: %s', (name, allowed) => {
    expect(isKeyName(name)).toBe(allowed);
  });
});
