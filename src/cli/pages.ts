/** Lists of the service, read to their end. Invariant: what is answered has the items of every page, in their order. */
import type { z } from 'zod';
import type { ApiClient } from './client.ts';

/** The pages of a list. Rejects as the client. @param search what is asked beside the cursor */
export async function* pagesOf<P extends { readonly nextCursor: string | null }>(
  client: ApiClient,
  schema: z.ZodType<P>,
  path: string,
  search = new URLSearchParams(),
): AsyncGenerator<P> {
  const asked = new URLSearchParams(search);
  for (;;) {
    const page: P = await client.fetchJson(schema, { path: withSearch(path, asked) });
    yield page;
    if (page.nextCursor === null) return;
    asked.set('cursor', page.nextCursor);
  }
}

/** The items of a list. Rejects as the client. */
export async function itemsOf<T>(
  client: ApiClient,
  schema: z.ZodType<{ readonly items: readonly T[]; readonly nextCursor: string | null }>,
  path: string,
  search?: URLSearchParams,
): Promise<T[]> {
  const items: T[] = [];
  for await (const page of pagesOf(client, schema, path, search)) items.push(...page.items);
  return items;
}

/** A path with what is asked behind it. */
export function withSearch(path: string, search: URLSearchParams): string {
  return search.size === 0 ? path : `${path}?${search.toString()}`;
}
