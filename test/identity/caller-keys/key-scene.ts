/** Keys of callers over the memory store: a table, the service that changes it, and the events that it told. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { EventEntry } from '../../../src/domain/log-entry.ts';
import { KeyEvents } from '../../../src/identity/caller-keys/key-events.ts';
import type { CallerKeyPolicy } from '../../../src/identity/caller-keys/key-policy.ts';
import { CallerKeyService, type NewCallerKey } from '../../../src/identity/caller-keys/key-service.ts';
import { CallerKeyTable } from '../../../src/identity/caller-keys/key-table.ts';
import { PepperHasher } from '../../../src/identity/caller-keys/pepper-hash.ts';
import type { CallerKeyStore, KeyOwners } from '../../../src/identity/caller-keys/ports.ts';
import { MemoryState } from '../../../src/store/memory/state.ts';
import { manualClock } from '../clock.ts';

export const DAY_MS = 86_400_000;
export const PEPPERS = new Map([[1, Buffer.alloc(32, 1)]]);
/** An administrator of every tenant, and one of acme alone. */
export const ROOT = { keyId: 'root', tenants: undefined };
export const ACME = { keyId: 'of-acme', tenants: new Set(['acme']) };

type Owner = ReturnType<KeyOwners['find']>;

export interface SceneOptions {
  readonly peppers?: ReadonlyMap<number, Uint8Array>;
  readonly policy?: Partial<CallerKeyPolicy>;
  readonly state?: MemoryState;
  /** Stands before the store. */
  readonly store?: (store: CallerKeyStore) => CallerKeyStore;
}

export function keyScene({ peppers = PEPPERS, policy, state = new MemoryState(), store }: SceneOptions = {}) {
  const clock = manualClock();
  const hasher = new PepperHasher(peppers);
  const table = new CallerKeyTable(hasher, clock);
  const told: EventEntry[] = [];
  const owners = new Map<string, Owner>([
    ['User acme/alice', { tenant: 'acme', status: 'active' }],
    ['User acme/bob', { tenant: 'acme', status: 'active' }],
    ['Service globex/batch', { tenant: 'globex', status: 'active' }],
    ['User acme/left', { tenant: 'acme', status: 'disabled' }],
    ['Agent nobodys', { tenant: undefined, status: 'active' }],
  ]);
  const keys = new CallerKeyService({
    store: store?.(state.callerKeys) ?? state.callerKeys,
    table,
    hasher,
    owners: { find: ({ type, id }) => owners.get(`${type} ${id}`) },
    policy: {
      maxLifetimeMs: tenant => (tenant === 'globex' ? 10 : 90) * DAY_MS,
      maxOverlapMs: 7 * DAY_MS,
      onLeak: 'revoke',
      selfService: new Set(['list', 'rotate', 'revoke']),
      ...policy,
    },
    events: new KeyEvents({ next: randomUUID }, clock),
    clock,
    random: randomBytes,
    announce: async event => void told.push(event),
  });
  return { clock, hasher, table, told, owners, keys, state };
}

export type KeyScene = ReturnType<typeof keyScene>;

/** What a key is asked for with; it lasts 30 days. */
export function wanted({ clock }: Pick<KeyScene, 'clock'>, change: Partial<NewCallerKey> = {}): NewCallerKey {
  return {
    owner: { type: 'User', id: 'acme/alice' },
    description: '',
    scopes: [],
    networks: [],
    oauthScopes: [],
    expiresAt: new Date(clock.now() + 30 * DAY_MS).toISOString(),
    ...change,
  };
}
