/** Lists of a service on loopback, read to their end. */
import { createServer, type Server } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { ApiClient } from '../../src/cli/client.ts';
import { itemsOf } from '../../src/cli/pages.ts';

const schema = z.object({ items: z.array(z.number()), nextCursor: z.string().nullable() });

let server: Server | undefined;
afterEach(() => {
  server?.close();
});

/** A list of pages whose cursors are `c 1`, `c 2`, …; `asked` gets each URL. */
async function serve(pages: readonly (readonly number[])[], asked: string[]): Promise<ApiClient> {
  const listening = createServer((incoming, outgoing) => {
    asked.push(incoming.url ?? '');
    const cursor = new URL(incoming.url ?? '', 'http://localhost').searchParams.get('cursor');
    const at = cursor === null ? 0 : Number(cursor.slice(2));
    const nextCursor = at + 1 < pages.length ? `c ${at + 1}` : null;
    outgoing.setHeader('content-type', 'application/json');
    outgoing.end(JSON.stringify({ items: pages[at], nextCursor }));
  });
  server = listening;
  await new Promise<void>(resolve => listening.listen(0, '127.0.0.1', resolve));
  const address = listening.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return new ApiClient(`http://127.0.0.1:${address.port}`, undefined);
}

test('every page is read, an empty one too, with the same filters and its own cursor', async () => {
  const asked: string[] = [];
  const client = await serve([[1, 2], [], [3]], asked);
  const search = new URLSearchParams({ tenant: 'acme' });
  expect(await itemsOf(client, schema, '/v1/things', search)).toEqual([1, 2, 3]);
  expect(asked).toEqual([
    '/v1/things?tenant=acme',
    '/v1/things?tenant=acme&cursor=c+1',
    '/v1/things?tenant=acme&cursor=c+2',
  ]);
  // what the caller asked with is the caller's
  expect(search.toString()).toBe('tenant=acme');
});

test('a list of one page is asked for once, without a question mark', async () => {
  const asked: string[] = [];
  expect(await itemsOf(await serve([[1]], asked), schema, '/v1/things')).toEqual([1]);
  expect(asked).toEqual(['/v1/things']);
});
