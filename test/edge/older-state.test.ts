/** A start over a state.db that is older than the log: refused, since revoked rights would be back in silence. */
import { cpSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ALLOWED, startTestService, temporaryFolder, type TestService } from './service.ts';

const YAN = { attributes: { org: '', tier: 'gold', clearance: 1, actsFor: [] } };

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => rmSync(folder, { recursive: true }));

const state = () => join(folder, 'state.db');
const kept = () => join(folder, 'kept-state.db');

/** Runs the service over the folder. @param filled what is empty yet */
async function run(use: (service: TestService) => Promise<void>, filled = false): Promise<void> {
  const service = await startTestService({ folder, filled });
  try {
    await use(service);
  } finally {
    await service.stop();
  }
}

test.each([
  ['a decision', ['/decide']],
  ['a change of the directory alone', []],
])('is refused where the newest entry that tells is %s', async (_what, asked) => {
  await run(async () => undefined, true);
  cpSync(state(), kept());
  await run(async service => {
    expect((await service.call('PUT', '/v1/entities/User/acme%2Fyan', { body: YAN })).status).toBe(201);
    for (const path of asked) {
      expect((await service.call('POST', path, { body: ALLOWED })).status).toBe(200);
    }
  });
  const newer = join(folder, 'newer-state.db');
  cpSync(state(), newer);
  cpSync(kept(), state());
  await expect(startTestService({ folder })).rejects.toThrow(
    /`state\.db` is older than the decision log: entry \d+ names/,
  );
  cpSync(newer, state());
  await run(async service => {
    expect((await service.call('POST', '/decide', { body: ALLOWED })).status).toBe(200);
  });
});

test('is none where nothing of the directory changed since', async () => {
  await run(async () => undefined, true);
  cpSync(state(), kept());
  await run(async service => {
    expect((await service.call('POST', '/decide', { body: ALLOWED })).status).toBe(200);
  });
  cpSync(kept(), state());
  await run(async service => {
    expect((await service.call('POST', '/decide', { body: ALLOWED })).status).toBe(200);
  });
});

test('is none where the state begins anew with an empty file', async () => {
  await run(async () => undefined, true);
  for (const end of ['', '-wal', '-shm']) rmSync(`${state()}${end}`, { force: true });
  writeFileSync(state(), '', { mode: 0o600 });
  await run(async service => {
    expect((await service.call('GET', '/livez')).status).toBe(200);
  });
});
