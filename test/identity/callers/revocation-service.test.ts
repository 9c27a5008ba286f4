/** Revoking tokens: durable, at once, within one's tenants, and forgotten when nothing is left to hit. */
import { describe, expect, test } from 'vitest';
import type { Credential } from '../../../src/domain/credential.ts';
import { issuerSettingsSchema } from '../../../src/domain/issuer-settings.ts';
import type { EventEntry } from '../../../src/domain/log-entry.ts';
import { RevocationList } from '../../../src/identity/callers/revocation-list.ts';
import { RevocationService } from '../../../src/identity/callers/revocation-service.ts';
import { resolveIssuers } from '../../../src/identity/jwt/issuer.ts';
import { MemoryState } from '../../../src/store/memory/state.ts';
import { countedIds, manualClock } from '../clock.ts';

const issuers = resolveIssuers(
  [
    { name: 'own', issuer: 'https://own.example', audiences: ['api'], tenants: ['acme'] },
    {
      name: 'wide',
      issuer: 'https://wide.example',
      audiences: ['api'],
      tenants: ['acme', 'globex'],
      tenant: { claim: 'org' },
    },
  ].map(one => issuerSettingsSchema.parse(one)),
).issuers;

function keeper(tenants?: readonly string[]): Credential {
  return {
    keyId: 'keeper',
    roles: new Set(['keys']),
    tenants: tenants === undefined ? undefined : new Set(tenants),
    mayAssert: false,
  };
}

function scene() {
  const clock = manualClock();
  const state = new MemoryState();
  const announced: EventEntry[] = [];
  const make = () => {
    const list = new RevocationList();
    const service = new RevocationService({
      store: state.revocations,
      list,
      issuers: [...issuers.values()],
      clock,
      ids: countedIds(`r${clock.now()}-`),
      announce: async event => void announced.push(event),
    });
    return { list, service };
  };
  return { clock, state, announced, make, ...make() };
}

function values(service: RevocationService, tenants?: readonly string[]): readonly string[] {
  return service.page(keeper(tenants), 10).items.map(({ value }) => value);
}

const REQUEST = { issuer: 'own', kind: 'subject', value: 'alice', reason: 'laptop lost' } as const;
const token = (issuedAt: number) => ({
  issuer: 'https://own.example',
  tokenId: undefined,
  subject: 'alice',
  client: undefined,
  issuedAt,
});

describe('a revocation', () => {
  test('counts at once, has its event, and outlives a restart', async () => {
    const { clock, state, announced, make, list, service } = scene();
    const now = Math.floor(clock.now() / 1000);
    expect(list.isRevoked(token(now))).toBe(false);
    const made = await service.revoke(REQUEST, keeper());
    expect(list.isRevoked(token(now))).toBe(true);
    expect(announced).toEqual([
      {
        kind: 'credential.revoke',
        id: made.id,
        time: clock.now(),
        actor: 'keeper',
        tenant: 'acme',
        subject: made.id,
        details: { issuer: 'own', kind: 'subject', reason: 'laptop lost' },
      },
    ]);
    expect(await state.outbox.pending(10)).toEqual(announced);
    const restarted = make();
    await restarted.service.load();
    expect(restarted.list.isRevoked(token(now))).toBe(true);
  });

  test('that the store refuses does not count', async () => {
    const { clock, state, list, service } = scene();
    const taken = await service.revoke({ ...REQUEST, value: 'bob' }, keeper());
    await expect(state.revocations.add(taken, { ...EVENT, id: 'x' })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    expect(list.isRevoked(token(Math.floor(clock.now() / 1000)))).toBe(false);
  });

  test('is forgotten when every token that it could hit has expired, and not before', async () => {
    const { clock, state, list, service } = scene();
    await service.revoke(REQUEST, keeper());
    // the longest token, its tolerance at both ends, and the margin
    clock.advance((900 + 60) * 1000 + 600_000 - 1);
    await service.revoke({ ...REQUEST, value: 'bob' }, keeper());
    expect(list.size).toBe(2);
    clock.advance(1);
    expect(values(service)).toEqual(['bob']);
    await service.revoke({ ...REQUEST, value: 'carol' }, keeper());
    expect(list.size).toBe(2);
    expect(await state.revocations.list()).toHaveLength(2);
  });

  test('of one subject again reaches to the later time', async () => {
    const { clock, list, service } = scene();
    await service.revoke(REQUEST, keeper());
    clock.advance(60_000);
    await service.revoke(REQUEST, keeper());
    expect(list.isRevoked(token(Math.floor(clock.now() / 1000)))).toBe(true);
    expect(list.size).toBe(1);
  });
});

const EVENT: EventEntry = {
  kind: 'credential.revoke',
  id: 'e',
  time: 0,
  actor: 'a',
  subject: 's',
  details: {},
};

describe('a keeper of one tenant', () => {
  test('revokes for issuers of that tenant alone; others do not exist for them', async () => {
    const { service } = scene();
    await service.revoke(REQUEST, keeper(['acme']));
    for (const issuer of ['wide', 'none']) {
      await expect(service.revoke({ ...REQUEST, issuer }, keeper(['acme']))).rejects.toMatchObject({
        code: 'NOT_FOUND',
        message: `there is no issuer \`${issuer}\``,
      });
    }
    await service.revoke({ ...REQUEST, issuer: 'wide' }, keeper(['acme', 'globex']));
  });

  test('sees the revocations of those issuers alone, newest first', async () => {
    const { clock, service } = scene();
    await service.revoke(REQUEST, keeper());
    clock.advance(1);
    await service.revoke({ ...REQUEST, issuer: 'wide', value: 'bob' }, keeper());
    expect(values(service)).toEqual(['bob', 'alice']);
    expect(values(service, ['acme'])).toEqual(['alice']);
    expect(values(service, ['globex'])).toEqual([]);
  });

  test('reads them in pages', async () => {
    const { clock, service } = scene();
    for (const value of ['a', 'b', 'c']) {
      await service.revoke({ ...REQUEST, value }, keeper());
      clock.advance(1);
    }
    const first = service.page(keeper(), 2);
    expect(first.items.map(({ value }) => value)).toEqual(['c', 'b']);
    const second = service.page(keeper(), 2, first.next ?? '');
    expect(second.items.map(({ value }) => value)).toEqual(['a']);
    expect(second.next).toBeNull();
  });
});
