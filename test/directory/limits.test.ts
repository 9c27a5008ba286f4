/** The directory's limits: writers that wait, imports at once, lines and bytes of an import. */
import { describe, expect, test } from 'vitest';
import { collectLines, MAX_IMPORT_BYTES, MAX_LINES } from '../../src/directory/lines.ts';
import { MAX_WAITING_WRITES, WriteQueue } from '../../src/directory/write-queue.ts';
import { ADMIN, body, openDirectory, parseLine, shippedParser } from './directory-fixture.ts';
import { ref } from './graph-edits.ts';

async function* repeat(
  piece: string | Uint8Array,
  times: number,
): AsyncIterableIterator<string | Uint8Array> {
  for (let n = 0; n < times; n += 1) yield piece;
}

describe('a write queue', () => {
  test('lets one writer in after the other, in the order of asking', async () => {
    const queue = new WriteQueue();
    const order: string[] = [];
    const writer = (name: string) =>
      queue.run(async () => {
        order.push(`${name} in`);
        await new Promise(resolve => setImmediate(resolve));
        order.push(`${name} out`);
      });
    await Promise.all(['a', 'b', 'c'].map(writer));
    expect(order).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
  });

  test('lets the next in after one that failed', async () => {
    const queue = new WriteQueue();
    await expect(queue.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await queue.run(async () => 'yes')).toBe('yes');
  });

  test(`refuses more than ${MAX_WAITING_WRITES} waiting writers and recovers`, async () => {
    const queue = new WriteQueue();
    const release = await queue.acquire();
    const waiting = Array.from({ length: MAX_WAITING_WRITES }, () => queue.run(async () => undefined));
    await expect(queue.acquire()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', retryAfterSeconds: 1 });
    release();
    await Promise.all(waiting);
    expect(await queue.run(async () => 'yes')).toBe('yes');
  });
});

describe('an import', () => {
  test(`of more than ${MAX_LINES} lines is refused before anything is checked`, async () => {
    const thousand = '1\n'.repeat(1_000);
    await expect(
      collectLines(repeat(thousand, MAX_LINES / 1_000 + 1), () => undefined),
    ).rejects.toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
    });
  });

  test(`of more than ${MAX_IMPORT_BYTES} bytes is refused`, async () => {
    const large = Buffer.from(`${'x'.repeat(60_000)}\n`);
    const lines = repeat(large, Math.ceil(MAX_IMPORT_BYTES / 60_000) + 1);
    await expect(collectLines(lines, () => undefined)).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' });
  });

  test('is refused while four others are being received, and none of them is lost', async () => {
    const { service } = await openDirectory(shippedParser());
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    async function* slow(n: number): AsyncIterableIterator<string> {
      await gate;
      yield `${JSON.stringify({ type: 'Role', id: `r${n}` })}\n`;
    }
    const first = [1, 2, 3, 4].map(n => service.import(slow(n), ADMIN, { parseLine }));
    await expect(service.import(slow(5), ADMIN, { parseLine })).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    open();
    await Promise.all(first);
    expect((await service.import(slow(5), ADMIN, { parseLine })).revision).toBe(5);
    await service.put(ref('Role/r6'), body({}), ADMIN);
    expect(service.graph.size).toBe(6);
  });
});
