/** What a credential that is limited to tenants sees and may do: the rest does not exist for it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/domain/bundle.ts';
import {
  ADMIN,
  credential,
  failure,
  memoryDisk,
  type Pap,
  permit,
  push,
  startPap,
  startWorker,
} from './pap.ts';

const thread = startWorker();
afterAll(() => thread.close());

const UNKNOWN: Digest = `sha256:${'0'.repeat(64)}`;
const ACME = credential(['author', 'approver', 'auditor'], ['acme']);
const BOTH = credential(['author', 'approver', 'auditor'], ['acme', 'globex']);
let pap: Pap;
const digests = new Map<string, Digest>();

beforeAll(async () => {
  pap = await startPap(memoryDisk(), thread);
  for (const layer of ['platform', 'tenant:acme', 'tenant:globex']) {
    for (const version of ['1', '2']) {
      const tenant = layer.slice('tenant:'.length);
      const files = layer === 'platform' ? {} : { 'policies/a.cedar': permit('a', tenant) };
      const { digest } = await push(pap, { layer, version, files }, { activate: true });
      digests.set(`${layer} ${version}`, digest);
    }
  }
});

function digestOf(name: string): Digest {
  return digests.get(name) ?? UNKNOWN;
}

describe('a credential of one tenant', () => {
  test.each(['platform', 'tenant:globex', 'tenant:nobody'] as const)('finds nothing of %s', async layer => {
    const digest = digestOf(`${layer} 1`);
    const attempts = [
      pap.service.get(digest, ACME),
      pap.service.activate(digest, { reason: 'r' }, ACME),
      pap.service.rollback(layer, 'r', ACME),
      pap.service.history(layer, 10, ACME),
    ];
    for (const attempt of attempts) expect((await failure(attempt)).code).toBe('NOT_FOUND');
    expect(await pap.service.list({ layer, limit: 10 }, ACME)).toEqual({ items: [], nextCursor: null });
  });

  test('gets for a foreign bundle the words of a missing one', async () => {
    const foreign = await failure(pap.service.get(digestOf('tenant:globex 1'), ACME));
    const missing = await failure(pap.service.get(UNKNOWN, ACME));
    expect(foreign.message.replace(digestOf('tenant:globex 1'), UNKNOWN)).toBe(missing.message);
    const foreignLayer = await failure(pap.service.history('tenant:globex', 1, ACME));
    const missingLayer = await failure(pap.service.history('tenant:nobody', 1, ACME));
    expect(foreignLayer.message.replace('globex', 'nobody')).toBe(missingLayer.message);
  });

  test.each(['platform', 'tenant:globex', 'tenant:nobody'])(
    'cannot push to %s, whoever exists',
    async layer => {
      const error = await failure(push(pap, { layer, version: '3' }, {}, ACME));
      expect(error.code).toBe('TENANT_NOT_ALLOWED');
      expect(error.message).toBe(`this credential may not push bundles of layer \`${layer}\``);
    },
  );

  test('works on its own layer as usual', async () => {
    expect(pap.service.layers(ACME).map(({ layer }) => layer)).toEqual(['tenant:acme']);
    expect(await pap.service.get(digestOf('tenant:acme 1'), ACME)).toMatchObject({ state: 'staged' });
    expect(await pap.service.history('tenant:acme', 10, ACME)).toHaveLength(2);
    const { state } = await push(
      pap,
      { layer: 'tenant:acme', version: '2', files: { 'policies/a.cedar': permit('a', 'acme') } },
      {},
      ACME,
    );
    expect(state).toBe('active');
  });

  test('pages through its own bundles alone, each once', async () => {
    const seen: Digest[] = [];
    let cursor: string | undefined;
    do {
      const page = await pap.service.list({ limit: 1, ...(cursor === undefined ? {} : { cursor }) }, BOTH);
      expect(page.items.length).toBeLessThanOrEqual(1);
      seen.push(...page.items.map(item => item.digest));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    const own = [...digests].filter(([name]) => !name.startsWith('platform')).map(([, digest]) => digest);
    expect(seen).toEqual(own.toReversed());
    expect((await pap.service.list({ limit: 10 }, ADMIN)).items).toHaveLength(6);
  });
});
