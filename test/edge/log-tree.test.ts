/** The log as evidence over HTTP: what is answered verifies with the log's key, and each role sees its part. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { consistencyFault } from '../../src/decision-log/proofs.ts';
import { ed25519Verifier } from '../../src/decision-log/signed-note.ts';
import { decodeEntryBundle } from '../../src/decision-log/tiles.ts';
import { openTlogProof, parseTlogProof } from '../../src/decision-log/tlog-proof.ts';
import { packedRoot } from '../../src/decision-log/tree-hash.ts';
import { decisionSchema } from '../../src/domain/decision.ts';
import { manualClock } from '../identity/clock.ts';
import { ADMIN_KEY, ALLOWED, problemOf, startTestService, type TestService } from './service.ts';

const GLOBEX = {
  principal: { type: 'User', id: 'globex/gina' },
  action: 'generate',
  resource: { type: 'Model', id: 'globex/chat' },
};
const consistencySchema = z.object({
  origin: z.string(),
  from: z.object({ size: z.number(), root: z.string() }),
  to: z.object({ size: z.number(), root: z.string() }),
  proof: z.array(z.string()),
  checkpoint: z.string().optional(),
});

let service: TestService;
let keys: Readonly<Record<'auditor' | 'pep' | 'globexAuditor' | 'globexPep' | 'author', string>>;

beforeAll(async () => {
  // a clock of its own, so that no week and with it no shard ends meanwhile
  const clock = manualClock();
  service = await startTestService({ filled: true, clock });
  clock.advance(1_000);
  keys = {
    auditor: await service.makeKey(['auditor']),
    pep: await service.makeKey(['pep']),
    globexAuditor: await service.makeKey(['auditor'], ['globex']),
    globexPep: await service.makeKey(['pep'], ['globex']),
    author: await service.makeKey(['author']),
  };
  // More than one full tile.
  for (let batch = 0; batch < 3; batch++) {
    const requests = Array.from({ length: 100 }, () => ALLOWED);
    await service.call('POST', '/decide/batch', { body: { requests } });
  }
});
afterAll(() => service.stop());

async function decide(body: unknown) {
  return decisionSchema.parse((await service.call('POST', '/decide', { body })).json);
}

async function get(path: string, key: string = keys.auditor) {
  return service.call('GET', path, { key });
}

async function bytes(path: string): Promise<{ headers: Headers; body: Buffer }> {
  const response = await fetch(service.url + path, { headers: { authorization: `Bearer ${keys.auditor}` } });
  expect([path, response.status]).toEqual([path, 200]);
  return { headers: response.headers, body: Buffer.from(await response.arrayBuffer()) };
}

async function verifier() {
  return ed25519Verifier((await get('/v1/log/key')).text.trimEnd());
}

async function newest() {
  return openCheckpoint((await get('/v1/log/checkpoint')).text, await verifier());
}

describe('checkpoints', () => {
  test('are signed by the key that is served, for the origin that decisions name', async () => {
    const { log } = await decide(ALLOWED);
    const reply = await get('/v1/log/checkpoint');
    expect(reply.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(reply.headers.get('cache-control')).toBe('no-store');
    const { origin, size } = openCheckpoint(reply.text, await verifier());
    expect(origin).toBe(log.origin);
    expect(size).toBeGreaterThanOrEqual(log.size);
  });
});

describe('proofs of decisions', () => {
  test('lead from the leaf to a checkpoint, alone and without the service', async () => {
    const { decisionId, log } = await decide(ALLOWED);
    const reply = await get(`/v1/decisions/${decisionId}/proof`);
    expect(reply.headers.get('content-type')).toBe('text/plain; charset=utf-8');
    const proof = parseTlogProof(reply.text);
    const leaf = Buffer.from(proof.extra ?? []);
    expect(proof.index).toBe(log.index);
    expect(z.object({ id: z.string() }).parse(JSON.parse(leaf.toString('utf8'))).id).toBe(decisionId);
    const key = await verifier();
    const checkpoint = openTlogProof(proof, leafHash(leaf), key);
    expect(checkpoint.size).toBeGreaterThanOrEqual(log.size);
    const other = leafHash(Buffer.from(`${leaf.toString('utf8')} `));
    expect(() => openTlogProof(proof, other, key)).toThrow('another root');
  });

  test('are for who may see the decision', async () => {
    const [own, foreign] = [await decide(GLOBEX), await decide(ALLOWED)];
    const statusOf = async (id: string) =>
      (await get(`/v1/decisions/${id}/proof`, keys.globexAuditor)).status;
    expect([await statusOf(own.decisionId), await statusOf(foreign.decisionId)]).toEqual([200, 404]);
    expect((await get('/v1/decisions/nothing/proof')).status).toBe(404);
  });

  test('go with a single answer, which has the leaf that they are about', async () => {
    const { decisionId } = await decide(ALLOWED);
    const { log } = z
      .object({ log: z.object({ leaf: z.string(), leafHash: z.string(), openings: z.array(z.string()) }) })
      .parse((await get(`/v1/decisions/${decisionId}`)).json);
    const hash = createHash('sha256')
      .update(Buffer.from([0]))
      .update(log.leaf)
      .digest('hex');
    expect(hash).toBe(log.leafHash);
  });
});

describe('tiles', () => {
  test('hold the tree of the checkpoint: bundles hash to tiles, tiles to the root', async () => {
    const { size, root } = await newest();
    expect(size).toBeGreaterThan(256);
    const rest = size - 256;
    const leaves = [
      ...decodeEntryBundle((await bytes('/v1/log/tile/entries/000')).body),
      ...decodeEntryBundle((await bytes(`/v1/log/tile/entries/001.p/${rest}`)).body),
    ];
    const hashes = Buffer.concat(leaves.map(leaf => leafHash(leaf)));
    const full = (await bytes('/v1/log/tile/0/000')).body;
    const partial = (await bytes(`/v1/log/tile/0/001.p/${rest}`)).body;
    expect(Buffer.concat([full, partial]).equals(hashes)).toBe(true);
    const above = (await bytes('/v1/log/tile/1/000.p/1')).body;
    expect(above.equals(Buffer.from(packedRoot(full)))).toBe(true);
    const { proof } = consistencySchema.parse(
      (await get(`/v1/log/proof/consistency?from=256&to=${size}`)).json,
    );
    const path = proof.map(text => Buffer.from(text, 'base64'));
    expect(consistencyFault(256, size, packedRoot(full), root, path)).toBeUndefined();
  });

  test('never change, and say so to caches of their reader alone', async () => {
    const { headers } = await bytes('/v1/log/tile/0/000');
    expect(headers.get('content-type')).toBe('application/octet-stream');
    expect(headers.get('cache-control')).toBe('private, max-age=31536000, immutable');
    const etag = headers.get('etag') ?? '';
    expect(etag).toMatch(/^"duramen\.local\/[0-9a-f]+\/tile\/0\/000"$/);
    const again = await service.call('GET', '/v1/log/tile/0/000', { headers: { 'if-none-match': etag } });
    expect(again.status).toBe(304);
  });

  test.each([
    ['a number without its groups', '/v1/log/tile/0/0', 400],
    ['a group without x', '/v1/log/tile/0/001/000', 400],
    ['a second spelling of zero', '/v1/log/tile/0/x000/000', 400],
    ['a level with a leading zero', '/v1/log/tile/00/000', 400],
    ['a level beyond every tree', '/v1/log/tile/63/000', 400],
    ['a width of 0', '/v1/log/tile/0/000.p/0', 400],
    ['a full width as a partial one', '/v1/log/tile/0/000.p/256', 400],
    ['a percent-encoded slash', '/v1/log/tile/0/x001%2F067', 400],
    ['a query', '/v1/log/tile/0/000?x=1', 400],
    ['nothing after entries', '/v1/log/tile/entries/', 404],
    ['a tile that is not full yet', '/v1/log/tile/0/001', 404],
    ['a tile beyond the tree', '/v1/log/tile/0/x001/067', 404],
    ['a wider tile than there is', '/v1/log/tile/1/000.p/2', 404],
    ['a level that has none', '/v1/log/tile/2/000.p/1', 404],
    ['a bundle beyond the log', '/v1/log/tile/entries/002.p/1', 404],
  ])('%s is refused: %s', async (_name, path, status) => {
    const reply = await get(path);
    expect(reply.status).toBe(status);
    expect(problemOf(reply).detail).not.toBe('');
  });

  test('say how wide a tile is that is not full', async () => {
    const reply = await get('/v1/log/tile/0/001');
    expect(problemOf(reply).detail).toMatch(/it has \d+, ask for `tile\/0\/001\.p\/\d+`$/);
  });
});

describe('consistency', () => {
  test('is proven from any earlier size to the newest checkpoint', async () => {
    for (const from of [1, 2, 100, 255, 256, 257, 300]) {
      const answer = consistencySchema.parse((await get(`/v1/log/proof/consistency?from=${from}`)).json);
      const { size, root } = openCheckpoint(answer.checkpoint ?? '', await verifier());
      expect(answer.to).toEqual({ size, root: Buffer.from(root).toString('base64') });
      const proof = answer.proof.map(hash => Buffer.from(hash, 'base64'));
      const fromRoot = Buffer.from(answer.from.root, 'base64');
      expect(consistencyFault(from, size, fromRoot, root, proof)).toBeUndefined();
    }
  });

  test('from nothing needs no proof', async () => {
    const reply = await get('/v1/log/proof/consistency?from=0&to=3');
    const { from, to, proof, checkpoint } = consistencySchema.parse(reply.json);
    expect([from.size, to.size, proof, checkpoint]).toEqual([0, 3, [], undefined]);
    expect(Buffer.from(from.root, 'base64').toString('hex')).toMatch(/^e3b0c442.*b855$/);
  });

  test.each([
    ['from=2&to=1', 400],
    ['to=5', 400],
    ['from=01', 400],
    ['from=-1', 400],
    ['from=1.5', 400],
    ['from=9007199254740993', 400],
    ['from=1&from=2', 400],
    ['from=0&to=1000000', 404],
    ['from=1000000', 404],
  ])('%s is %d', async (query, status) => {
    expect((await get(`/v1/log/proof/consistency?${query}`)).status).toBe(status);
  });
});

describe('access', () => {
  const open = ['/v1/log/key', '/v1/log/checkpoint', '/v1/log/proof/consistency?from=0'];
  const statusOf = async (path: string, key: string | undefined) =>
    (await service.call('GET', path, { key })).status;
  const whole = ['/v1/log/tile/0/000', '/v1/log/tile/entries/000', '/v1/log/shards', '/v1/log/exports'];

  test.each<[keyof typeof keys, number, number]>([
    ['auditor', 200, 200],
    ['pep', 200, 403],
    ['globexAuditor', 200, 403],
    ['globexPep', 200, 403],
    ['author', 403, 403],
  ])('%s: key, checkpoint and consistency %d, the whole log %d', async (name, forOpen, forWhole) => {
    for (const path of open) expect([path, await statusOf(path, keys[name])]).toEqual([path, forOpen]);
    for (const path of whole) expect([path, await statusOf(path, keys[name])]).toEqual([path, forWhole]);
  });

  test('admin sees everything, nobody nothing', async () => {
    for (const path of [...open, ...whole]) {
      expect([path, await statusOf(path, ADMIN_KEY)]).toEqual([path, 200]);
      expect([path, await statusOf(path, undefined)]).toEqual([path, 401]);
    }
  });
});

test('shards cover the log, with their times', async () => {
  const { items } = z
    .object({
      items: z.array(
        z.strictObject({
          name: z.string(),
          first: z.number(),
          entries: z.number(),
          sealed: z.boolean(),
          kept: z.boolean(),
          from: z.string(),
          to: z.string(),
          bytes: z.number(),
        }),
      ),
    })
    .parse((await get('/v1/log/shards')).json);
  const [shard] = items;
  expect(items).toHaveLength(1);
  expect(shard).toMatchObject({ first: 0, sealed: false, kept: true });
  expect(shard?.entries).toBeGreaterThan(256);
  expect(Date.parse(shard?.from ?? '')).toBeLessThan(Date.parse(shard?.to ?? ''));
});
