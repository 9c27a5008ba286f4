/**
 * Process of caller-key-kill.test.ts: makes keys over SQLite and prints each after its answer. With `durable` it kills
 * itself where a key is durable and not yet answered.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { KeyEvents } from '../../src/identity/caller-keys/key-events.ts';
import { CallerKeyService } from '../../src/identity/caller-keys/key-service.ts';
import { CallerKeyTable } from '../../src/identity/caller-keys/key-table.ts';
import { PepperHasher } from '../../src/identity/caller-keys/pepper-hash.ts';
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import { AT } from '../conformance/state-backend.ts';

const [folder = '', mode = ''] = process.argv.slice(2);
const state = await StateStore.open({ folder, at: AT });
const clock = { now: () => Date.parse(AT), monotonic: () => 0 };
const hasher = new PepperHasher(new Map([[1, Buffer.alloc(32, 1)]]));
const keys = new CallerKeyService({
  store: state.callerKeys,
  table: new CallerKeyTable(hasher, clock),
  hasher,
  owners: { find: () => ({ tenant: 'acme', status: 'active' }) },
  policy: {
    maxLifetimeMs: () => 86_400_000,
    maxOverlapMs: 3_600_000,
    onLeak: 'revoke',
    selfService: new Set(),
  },
  events: new KeyEvents({ next: randomUUID }, clock),
  clock,
  random: randomBytes,
  announce: async () => {
    if (mode === 'durable') process.kill(process.pid, 'SIGKILL');
  },
});
await keys.load();
for (;;) {
  const { token } = await keys.create(
    {
      owner: { type: 'User', id: 'acme/alice' },
      description: '',
      scopes: [{ models: ['acme/support-llm'] }],
      networks: [],
      oauthScopes: [],
      expiresAt: new Date(clock.now() + 3_600_000).toISOString(),
    },
    { keyId: 'root', tenants: undefined },
  );
  process.stdout.write(`${token}\n`);
}
