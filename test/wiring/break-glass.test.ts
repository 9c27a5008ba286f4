/** Break-glass: a key for whoever has the host, short, loud, and from a file that nobody else can have written. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { breakGlass } from '../../src/cli/break-glass.ts';
import { AppError } from '../../src/domain/errors.ts';
import { recordingTerminal } from '../cli/recording-terminal.ts';
import { problemOf, startTestService, temporaryFolder, type TestService } from '../edge/service.ts';
import { manualClock } from '../identity/clock.ts';

const HOUR = 3_600_000;
const clock = manualClock();

let folder: string;
let service: TestService | undefined;
beforeEach(() => {
  folder = temporaryFolder();
  service = undefined;
  // what a first start leaves there, and the command needs
  writeFileSync(join(folder, 'pepper'), randomBytes(32).toString('base64url'), { mode: 0o600 });
});
afterEach(async () => {
  await service?.stop();
  rmSync(folder, { recursive: true });
});

async function start(): Promise<TestService> {
  service = await startTestService({ folder, clock });
  return service;
}

async function stop(): Promise<void> {
  await service?.stop();
  service = undefined;
}

/** The command as it is typed; the key that it prints. */
function request(options: { reason?: string; hours?: string; data?: string } = {}): string {
  const terminal = recordingTerminal({ env: { DURAMEN_DATA_DIR: folder }, now: clock.now() });
  breakGlass(terminal, { reason: 'nobody has a key', hours: '1', ...options });
  return terminal.stdout().trim();
}

const file = () => join(folder, 'break-glass.json');
const checks = z.object({
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })),
});

async function readiness(of: TestService, name: string) {
  const reply = await of.call('GET', '/readyz?verbose', { key: undefined });
  return checks.parse(reply.json).checks.find(check => check.name === name);
}

describe('a break-glass key', () => {
  test('works from the next start on, for its hour, and is loud', async () => {
    const key = request();
    expect(readFileSync(file(), 'utf8')).not.toContain(key.slice(21));
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    const running = await start();
    expect(existsSync(file())).toBe(false);
    const keyId = key.split('_')[1];
    expect((await running.call('GET', `/v1/keys/${keyId}`, { key })).json).toMatchObject({
      roles: ['admin'],
      breakGlass: true,
      createdBy: 'host',
    });
    expect((await running.call('GET', '/v1/events?kind=control.break_glass', { key })).json).toMatchObject({
      items: [{ actor: 'host', subject: keyId, details: { reason: 'nobody has a key', roles: ['admin'] } }],
    });
    const warned = await readiness(running, 'break-glass');
    expect([warned?.ok, warned?.detail.includes('revoke it')]).toEqual([false, true]);
    expect((await running.call('GET', '/metrics', { key })).text).toContain(
      'duramen_control_break_glass_keys 1',
    );
    expect(running.logLines.join('\n')).not.toContain(key);
    clock.advance(HOUR);
    expect((await running.call('GET', '/v1/keys', { key })).status).toBe(401);
    expect(await readiness(running, 'break-glass')).toMatchObject({ ok: true });
  });

  test('makes the key that was missing, and is then revoked', async () => {
    const key = request();
    const running = await start();
    const made = await running.call('POST', '/v1/keys', { key, body: { roles: ['admin'] } });
    const lasting = z.object({ key: z.string() }).parse(made.json).key;
    expect((await running.call('DELETE', `/v1/keys/${key.split('_')[1]}`, { key: lasting })).status).toBe(
      204,
    );
    expect((await running.call('GET', '/v1/keys', { key })).status).toBe(401);
    expect(await readiness(running, 'break-glass')).toMatchObject({ ok: true });
  });

  test('does not count as somebody who can administer', async () => {
    const key = request();
    const running = await start();
    const refused = problemOf(await running.call('DELETE', '/v1/keys/bootstrap', { key }));
    expect([refused.status, refused.code]).toEqual([409, 'LAST_ADMIN_KEY']);
    expect(await readiness(running, 'administration')).toMatchObject({ ok: true });
  });

  test('survives a restart, and is made once', async () => {
    const key = request();
    const copy = readFileSync(file());
    await start();
    await stop();
    writeFileSync(file(), copy, { mode: 0o600 });
    const running = await start();
    expect(existsSync(file())).toBe(false);
    const { items } = z
      .object({ items: z.array(z.unknown()) })
      .parse((await running.call('GET', '/v1/events?kind=control.break_glass', { key })).json);
    expect(items).toHaveLength(1);
  });

  test('that expired before the start is none', async () => {
    const key = request();
    clock.advance(HOUR);
    const running = await start();
    expect(existsSync(file())).toBe(false);
    expect((await running.call('GET', '/v1/keys', { key })).status).toBe(401);
    expect(running.logLines.join('\n')).toContain('had expired before the service started');
  });
});

describe('the file', () => {
  const tampered = (change: (content: Record<string, unknown>) => void) => () => {
    const content = z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(file(), 'utf8')));
    change(content);
    writeFileSync(file(), JSON.stringify(content), { mode: 0o600 });
  };

  test.each([
    ['that others can read', () => chmodSync(file(), 0o644), 'can be read by others'],
    ['that is cut off', () => writeFileSync(file(), '{"id":'), 'is damaged'],
    ['with another field', tampered(content => (content['roles'] = ['admin'])), 'is damaged'],
    [
      'that asks for a year',
      tampered(content => (content['expiresAt'] = new Date(clock.now() + 365 * 24 * HOUR).toISOString())),
      'more than 24 hours',
    ],
  ])('%s stops the start', async (_, spoil, message) => {
    request();
    spoil();
    await expect(start()).rejects.toThrow(message);
    expect(existsSync(file())).toBe(true);
  });

  test('is not overwritten by a second request', () => {
    request();
    expect(() => request()).toThrow(AppError);
  });
});

describe('the command', () => {
  test.each([
    { hours: '0' },
    { hours: '25' },
    { hours: '1.5' },
    { reason: ' ' },
    { reason: 'a\nb' },
    { reason: 'x'.repeat(501) },
    { reason: 'instead of dmn_0123456789abcdef' },
  ])('refuses %j', options =>
    expect(() => request(options)).toThrow(/must (?:be (?:one line|a number)|not contain a key)/),
  );

  test('makes nothing where there is no store: another pepper would be useless', () => {
    rmSync(join(folder, 'pepper'));
    expect(() => request()).toThrow('is missing');
    expect(existsSync(file())).toBe(false);
    expect(existsSync(join(folder, 'pepper'))).toBe(false);
  });

  test('says when there is no folder at all', () => {
    const absent = join(folder, 'absent');
    expect(() => request({ data: absent })).toThrow(`there is no data folder \`${absent}\``);
  });
});
