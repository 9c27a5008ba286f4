/** Floods of wrong keys: slowed by address and by key, never at the cost of a right key, of the log or of memory. */
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { manualClock } from '../identity/clock.ts';
import { withChecksum } from '../identity/caller-keys/forged-key.ts';
import { startTestService, type TestService } from './service.ts';

const MOST = 20;
const page = z.object({ items: z.array(z.unknown()) });
const clock = manualClock();
const env = {
  DURAMEN_AUTH_MAX_FAILURES_PER_MINUTE: String(MOST),
  DURAMEN_HTTP_TRUSTED_PROXIES: '127.0.0.1',
};
let service: TestService;
beforeAll(async () => {
  service = await startTestService({ clock, env });
});
afterAll(() => service.stop());

async function statusesOf(
  key: string,
  addressOf: (at: number) => string,
  count: number,
  asked = service,
): Promise<number[]> {
  const statuses: number[] = [];
  for (let at = 0; at < count; at++) {
    const headers = { 'x-forwarded-for': addressOf(at) };
    statuses.push((await asked.call('GET', '/v1/status', { key, headers })).status);
  }
  return statuses;
}

const expected = (count: number) => Array.from({ length: count }, (_, at) => (at < MOST ? 401 : 429));

test('guesses at one key from many addresses are slowed, and the key itself is not', async () => {
  const made = await service.call('POST', '/v1/keys', { body: { roles: ['auditor'] } });
  const { id, key } = z.object({ id: z.string(), key: z.string() }).parse(made.json);
  const guess = withChecksum(`dmn_${id}_${'A'.repeat(43)}`);
  expect(await statusesOf(guess, at => `203.0.113.${at}`, MOST + 5)).toEqual(expected(MOST + 5));
  expect(await statusesOf(key, () => '203.0.113.1', 2)).toEqual([200, 200]);
  clock.advance(60_000);
  expect(await statusesOf(guess, () => '198.51.100.1', 1)).toEqual([401]);
});

test('keys that nobody has, from one address, are slowed, and other addresses are not', async () => {
  const unknown = withChecksum(`dmn_${'B'.repeat(16)}_${'A'.repeat(43)}`);
  expect(await statusesOf(unknown, () => '192.0.2.1', MOST + 5)).toEqual(expected(MOST + 5));
  expect(await statusesOf(unknown, () => '192.0.2.2', 1)).toEqual([401]);
});

test('a flood is a handful of entries', async () => {
  // one of its own, whose minute does not end
  const flooded = await startTestService({ clock: manualClock(), env });
  onTestFinished(() => flooded.stop());
  const failures = async (): Promise<number> =>
    page.parse((await flooded.call('GET', '/v1/events?kind=auth.failed')).json).items.length;
  const before = await failures();
  await statusesOf('nonsense', at => `192.0.2.${at % 4}`, 200, flooded);
  // one for the first failure of each address within its minute; the others are a count at its end
  await expect.poll(failures).toBe(before + 4);
});
