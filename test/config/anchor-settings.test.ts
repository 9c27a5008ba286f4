/** Where checkpoints go, as it is configured: what is accepted, and what stops the start. */
import { describe, expect, test } from 'vitest';
import { ConfigError, loadConfig } from '../../src/config.ts';
import { parseWitness } from '../../src/config/anchor-settings.ts';

const KEY = 'witness.example/w1+1a2b3c4d+BAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f';

const load = (env: Readonly<Record<string, string>>) => loadConfig({ env, readFile: () => '' }).config;

describe('a witness', () => {
  test.each([
    [`https://witness.example ${KEY}`, 'https://witness.example'],
    [`http://127.0.0.1:7380/w1/ ${KEY}`, 'http://127.0.0.1:7380/w1/'],
  ])('is an address and a key: %s', (text, url) => {
    expect(parseWitness(text)).toEqual({ url, verifierKey: KEY });
  });

  test.each([
    ['only a key', KEY],
    ['only an address', 'https://witness.example'],
    ['the wrong order', `${KEY} https://witness.example`],
    ['two spaces', `https://witness.example  ${KEY}`],
    ['another scheme', `file:///etc/passwd ${KEY}`],
    ['a secret in the address', `https://user:secret@witness.example ${KEY}`],
    ['a query', `https://witness.example?x=1 ${KEY}`],
    ['a fragment', `https://witness.example#x ${KEY}`],
    ['a key without an id', 'https://witness.example witness.example/w1+BAAB'],
    ['a private key', `https://witness.example PRIVATE+KEY+${KEY}`],
    ['nothing', ''],
  ])('is not %s', (_name, text) => {
    expect(parseWitness(text)).toBeUndefined();
    expect(() => load({ DURAMEN_ANCHOR_WITNESSES: `${text},` })).toThrow(ConfigError);
  });
});

test('lists come from the environment, comma-separated; without them the local anchor is the only one', () => {
  expect(load({}).anchor).toEqual({
    intervalSeconds: 60,
    maxAgeSeconds: 0,
    files: [],
    directories: [],
    witnesses: [],
  });
  const { anchor } = load({
    DURAMEN_ANCHOR_FILES: '/mnt/a/checkpoint, /mnt/b/checkpoint',
    DURAMEN_ANCHOR_DIRECTORIES: '/mnt/bucket',
    DURAMEN_ANCHOR_WITNESSES: `https://one.example ${KEY},https://two.example ${KEY}`,
  });
  expect(anchor.files).toEqual(['/mnt/a/checkpoint', '/mnt/b/checkpoint']);
  expect(anchor.directories).toEqual(['/mnt/bucket']);
  expect(anchor.witnesses).toHaveLength(2);
});

test.each([
  ['DURAMEN_ANCHOR_INTERVAL_SECONDS', '61', /`anchor\.intervalSeconds`.*1 to 60/],
  ['DURAMEN_ANCHOR_INTERVAL_SECONDS', '0', /1 to 60/],
  ['DURAMEN_ANCHOR_FILES', '/a,,/b', /must be a path/],
  ['DURAMEN_ANCHOR_FILES', '/a,/b,/c,/d,/e,/f,/g,/h,/i', /at most 8/],
  ['DURAMEN_LOG_HEARTBEAT_SECONDS', '9', /10 to 3600/],
])('%s=%s is refused with what is allowed', (name, value, says) => {
  expect(() => load({ [name]: value })).toThrow(says);
});
