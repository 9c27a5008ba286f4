/** Keys that are none: every text that is not the key itself is refused, and none tells more than that. */
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeKey, readKey } from '../../../src/identity/key-format.ts';
import { withChecksum } from './forged-key.ts';
import { keyScene, type KeyScene, PEPPERS, ROOT, wanted } from './key-scene.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
let scene: KeyScene;
let token: string;
let other: string;
beforeAll(async () => {
  scene = keyScene();
  ({ token } = await scene.keys.create(wanted(scene), ROOT));
  ({ token: other } = await scene.keys.create(wanted(scene), ROOT));
});

/** A text with the checksum that belongs to it: what a forger can make, since the checksum is no secret. */
const id = () => token.slice(4, 20);
const secret = () => token.slice(21, 64);
const flip = (text: string, at: number) =>
  text.slice(0, at) + (text[at] === 'x' ? 'y' : 'x') + text.slice(at + 1);

const MALFORMED: Readonly<Record<string, () => string>> = {
  empty: () => '',
  'a space': () => ' ',
  'the prefix alone': () => 'dmc_',
  'the prefix and the id': () => token.slice(0, 20),
  'without its last character': () => token.slice(0, -1),
  'without its first character': () => token.slice(1),
  'one character too many': () => `${token}0`,
  'a space before': () => ` ${token}`,
  'a space after': () => `${token} `,
  'a line feed after': () => `${token}\n`,
  'a carriage return after': () => `${token}\r`,
  'a NUL after': () => `${token}\0`,
  'a tab inside': () => `${token.slice(0, 30)}\t${token.slice(31)}`,
  'a NUL inside': () => `${token.slice(0, 30)}\0${token.slice(31)}`,
  'a zero-width space inside': () => `${token.slice(0, 30)}\u200b${token.slice(31)}`,
  'a byte order mark before': () => `\ufeff${token.slice(1)}`,
  'a full-width digit': () => `${token.slice(0, 30)}\uff11${token.slice(31)}`,
  'a Cyrillic letter for a Latin one': () => `dm\u0441_${token.slice(4)}`,
  'a combining mark': () => `${token.slice(0, -1)}\u0301`,
  'half of a surrogate pair': () => `${token.slice(0, -1)}\ud83d`,
  'a surrogate pair': () => `${token.slice(0, -2)}\u{1f511}`,
  'the prefix in capitals': () => `DMC_${token.slice(4)}`,
  'the prefix of a gateway': () => `dmn_${token.slice(4)}`,
  'another prefix': () => `dmx_${token.slice(4)}`,
  'a hyphen for the underscore': () => `dmc-${token.slice(4)}`,
  'no second underscore': () => `${token.slice(0, 20)}0${token.slice(21)}`,
  'the underscore one too early': () => `${token.slice(0, 19)}_${token.slice(20)}`,
  'a third underscore': () => `${token.slice(0, 40)}_${token.slice(41)}`,
  'base64 characters': () => `${token.slice(0, 40)}+/=${token.slice(43)}`,
  'a dot, as in a token': () => `${token.slice(0, 40)}.${token.slice(41)}`,
  quotes: () => `"${token.slice(2)}"`,
  'a scheme': () => `Bearer ${token}`.slice(0, 70),
  'a header': () => `Authorization: Bearer ${token}`,
  'percent-encoding': () => token.replace('_', '%5F'),
  'twice the key': () => token + token,
  'two keys with a comma': () => `${token},${other}`,
  'JSON around it': () => JSON.stringify({ key: token }),
  'a JWT': () => 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.',
  SQL: () => "' OR 1=1 --".padEnd(70, '0'),
  'a path': () => '../'.repeat(24).slice(0, 70),
  __proto__: () => 'dmc___proto__'.padEnd(70, '0'),
  'a megabyte': () => 'dmc_'.padEnd(1_048_576, '0'),
  'a megabyte of spaces': () => ' '.repeat(1_048_576),
  zeros: () => '0'.repeat(70),
  underscores: () => '_'.repeat(70),
};

const CHECKSUM: Readonly<Record<string, () => string>> = {
  'the first character of the id': () => flip(token, 4),
  'the last character of the id': () => flip(token, 19),
  'the first character of the secret': () => flip(token, 21),
  'the last character of the secret': () => flip(token, 63),
  'the first character of the checksum': () => flip(token, 64),
  'the last character of the checksum': () => flip(token, 69),
  'its checksum in capitals': () => token.slice(0, 64) + 'ZZZZZZ',
  'the checksum of zero': () => `${token.slice(0, 64)}000000`,
  'the checksum of another key': () => token.slice(0, 64) + other.slice(64),
  'two characters exchanged': () =>
    token.slice(0, 30) + token[31] + (token[30] === token[31] ? '' : token[30]) + token.slice(32),
  'everything but the prefix reversed': () => `dmc_${id().split('').reverse().join('')}_${token.slice(21)}`,
  'all zeros but the prefix': () => `dmc_${'0'.repeat(16)}_${'0'.repeat(49)}`,
  'all z but the prefix': () => `dmc_${'z'.repeat(16)}_${'z'.repeat(49)}`,
  'the id of another key': () => `dmc_${other.slice(4, 20)}_${token.slice(21)}`,
};

const FORGED: Readonly<Record<string, readonly [() => string, string]>> = {
  'the right id with a guessed secret': [() => withChecksum(`dmc_${id()}_${'A'.repeat(43)}`), 'key_mismatch'],
  'the right id with the secret of another key': [
    () => withChecksum(`dmc_${id()}_${other.slice(21, 64)}`),
    'key_mismatch',
  ],
  'the right id with a secret that differs in one character': [
    () => withChecksum(`dmc_${id()}_${flip(secret(), 0)}`),
    'key_mismatch',
  ],
  'the right id with a secret that differs in its last character': [
    () => withChecksum(`dmc_${id()}_${flip(secret(), 42)}`),
    'key_mismatch',
  ],
  'the right secret with another id': [
    () => withChecksum(`dmc_${'A'.repeat(16)}_${secret()}`),
    'key_unknown',
  ],
  'an id that nobody has': [() => makeKey(size => Buffer.alloc(size, 7), 'dmc').token, 'key_unknown'],
  'the id `constructor`': [() => withChecksum(`dmc_constructor00000_${'A'.repeat(43)}`), 'key_unknown'],
  'the id in other letters': [() => withChecksum(`dmc_${swapCase(id())}_${secret()}`), 'key_unknown'],
};

function swapCase(text: string): string {
  return text
    .split('')
    .map(one => (one === one.toLowerCase() ? one.toUpperCase() : one.toLowerCase()))
    .join('');
}

test('there are at least sixty hostile keys', () => {
  const tables = [MALFORMED, CHECKSUM, FORGED];
  expect(tables.reduce((total, one) => total + Object.keys(one).length, 0)).toBeGreaterThanOrEqual(60);
});

describe('what is not a key is refused', () => {
  test('the key itself is accepted', () => {
    expect(scene.table.verify(token).entry?.key.id).toBe(id());
  });

  test.each(Object.entries(MALFORMED))('%s: malformed', (_, make) => {
    expect(scene.table.verify(make())).toEqual({ cause: 'key_malformed' });
  });

  test.each(Object.entries(CHECKSUM))('%s: the checksum tells, without a look-up', (_, make) => {
    const { cause, ...rest } = scene.table.verify(make());
    // an exchange of equal characters leaves a text that is too short
    expect(['key_checksum', 'key_malformed']).toContain(cause);
    expect(rest).toEqual({});
  });

  test.each(Object.entries(FORGED))('%s', (_, [make, cause]) => {
    const forged = make();
    expect(readKey(forged, 'dmc').kind).toBe('key');
    expect(scene.table.verify(forged)).toEqual({ cause, id: forged.slice(4, 20) });
  });
});

describe('the format', () => {
  test('a scanner finds a key by its prefix and its characters', () => {
    expect(token).toMatch(/^dmc_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}$/);
  });

  test('the checksum detects every change of one character, wherever it is and whatever to', () => {
    for (let at = 0; at < token.length; at += 1) {
      for (const letter of `${ALPHABET}_`) {
        if (letter === token[at]) continue;
        const changed = token.slice(0, at) + letter + token.slice(at + 1);
        expect(readKey(changed, 'dmc').kind).not.toBe('key');
      }
    }
  });

  test('the checksum detects every change within five neighbouring characters of any key', () => {
    const letter = fc.constantFrom(...ALPHABET.split(''));
    const seed = fc.uint8Array({ minLength: 64, maxLength: 64 });
    const at = fc.integer({ min: 21, max: 59 });
    fc.assert(
      fc.property(seed, at, fc.array(letter, { minLength: 1, maxLength: 4 }), (bytes, start, letters) => {
        let next = 0;
        // bytes that no letter takes would never end
        const random = (size: number) =>
          Uint8Array.from({ length: size }, () => (bytes[next++ % 64] ?? 0) % 248);
        const made = makeKey(random, 'dmc').token;
        expect(readKey(made, 'dmc').kind).toBe('key');
        const changed = made.slice(0, start) + letters.join('') + made.slice(start + letters.length);
        expect(readKey(changed, 'dmc').kind === 'key').toBe(changed === made);
      }),
      { numRuns: 500 },
    );
  });

  test('a key of one kind never reads as one of the other', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 128, maxLength: 128 }), bytes => {
        let next = 0;
        const random = (size: number) =>
          Uint8Array.from({ length: size }, () => (bytes[next++ % 128] ?? 0) % 248);
        const made = makeKey(random, 'dmc').token;
        expect(readKey(made).kind).toBe('malformed');
        expect(readKey(`dmn_${made.slice(4)}`).kind).toBe('checksum');
      }),
      { numRuns: 100 },
    );
  });
});

describe('a key that was verified before', () => {
  test('is the only text that is spared the keyed hash: every other is refused as before', () => {
    expect(scene.table.verify(token).entry?.proven).toHaveLength(32);
    for (const [make, cause] of Object.values(FORGED)) {
      const forged = make();
      expect(scene.table.verify(forged)).toEqual({ cause, id: forged.slice(4, 20) });
    }
    expect(scene.table.verify(token).entry?.key.id).toBe(id());
  });

  test('is verified in full again when anything about it has changed', async () => {
    const changing = keyScene();
    const made = await changing.keys.create(wanted(changing), ROOT);
    expect(changing.table.verify(made.token).entry?.proven).toBeDefined();
    await changing.keys.rotate(made.record.id, {}, ROOT);
    expect(changing.table.find(made.record.id)?.proven).toBeUndefined();
    expect(changing.table.verify(made.token).entry?.key.id).toBe(made.record.id);
    await changing.keys.revoke(made.record.id, '', ROOT);
    expect(changing.table.verify(made.token).cause).toBe('key_revoked');
  });
});

describe('peppers', () => {
  test('keys of every version work, and new keys take the newest', async () => {
    const before = keyScene();
    const old = await before.keys.create(wanted(before), ROOT);
    const peppers = new Map([...PEPPERS, [2, Buffer.alloc(32, 2)]]);
    const after = keyScene({ peppers, state: before.state });
    expect(await after.keys.load()).toBe(0);
    const young = await after.keys.create(wanted(after), ROOT);
    expect(after.table.verify(old.token).entry?.key.pepper).toBe(1);
    expect(after.table.verify(young.token).entry?.key.pepper).toBe(2);
  });

  test('a version that is gone ends its keys, and tells how many', async () => {
    const before = keyScene();
    const old = await before.keys.create(wanted(before), ROOT);
    const after = keyScene({ peppers: new Map([[2, Buffer.alloc(32, 2)]]), state: before.state });
    expect(await after.keys.load()).toBe(1);
    expect(after.table.verify(old.token)).toEqual({ cause: 'key_pepper', id: old.record.id });
  });

  test('a version with other bytes does not verify the keys of the old ones', async () => {
    const before = keyScene();
    const old = await before.keys.create(wanted(before), ROOT);
    const after = keyScene({ peppers: new Map([[1, Buffer.alloc(32, 9)]]), state: before.state });
    await after.keys.load();
    expect(after.table.verify(old.token)).toEqual({ cause: 'key_mismatch', id: old.record.id });
  });

  test('a short pepper is refused', () => {
    expect(() => keyScene({ peppers: new Map([[1, Buffer.alloc(31)]]) })).toThrow('fewer than 32 bytes');
  });
});

test('what is stored is neither the key nor a plain digest of it', async () => {
  const lonely = keyScene();
  const made = await lonely.keys.create(wanted(lonely), ROOT);
  const chunks = await Array.fromAsync(lonely.state.callerKeys.load());
  const text = JSON.stringify(chunks);
  const { createHash } = await import('node:crypto');
  expect(text).not.toContain(made.token.slice(21));
  for (const encoding of ['hex', 'base64', 'base64url'] as const) {
    expect(text).not.toContain(createHash('sha256').update(made.token).digest(encoding));
  }
});

test('100,000 keys: loaded, and a verification does not look at others', async () => {
  const many = keyScene();
  const template = (await many.keys.create(wanted(many), ROOT)).record;
  const [[stored] = []] = await Array.fromAsync(many.state.callerKeys.load());
  if (stored === undefined) throw new Error('nothing was stored');
  for (let at = 0; at < 100_000; at += 1) {
    many.table.put({ ...stored.key, ...template, id: String(at).padStart(16, 'k') });
  }
  const { token: last } = await many.keys.create(wanted(many), ROOT);
  expect(many.table.size).toBe(100_002);
  // the entries are reached by id alone: walking them is never done here
  Object.defineProperty(many.table, 'entries', {
    get: () => {
      throw new Error('all keys were looked at');
    },
  });
  expect(many.table.verify(last).entry?.key.id).toBe(last.slice(4, 20));
  expect(many.table.verify(withChecksum(`dmc_${'k'.repeat(11)}12345_${'A'.repeat(43)}`)).cause).toBe(
    'key_mismatch',
  );
});
