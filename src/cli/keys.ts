/**
 * `duramen key`: API keys. Invariant: a new key goes to stdout alone, once; what is said about it goes to
 * stderr, so that `KEY=$(duramen key create …)` works and nothing else keeps it.
 */
import { z } from 'zod';
import { clientOf } from './client.ts';
import { itemsOf } from './pages.ts';
import { type OutputFormat, printData } from './table.ts';
import type { Terminal } from './terminal.ts';

const keySchema = z.looseObject({
  id: z.string(),
  roles: z.array(z.string()),
  tenants: z.array(z.string()).optional(),
  description: z.string(),
  createdAt: z.string(),
  expiresAt: z.string().optional(),
  revokedAt: z.string().optional(),
});
const createdSchema = z.looseObject({ ...keySchema.shape, key: z.string() });
const listSchema = z.looseObject({ items: z.array(keySchema), nextCursor: z.string().nullable() });

export interface KeyOptions {
  readonly url?: string | undefined;
  readonly output: OutputFormat;
}

export interface CreateKeyOptions extends KeyOptions {
  readonly roles: readonly string[];
  readonly tenants: readonly string[];
  readonly description?: string | undefined;
  readonly expires?: string | undefined;
}

export async function createKey(terminal: Terminal, options: CreateKeyOptions): Promise<void> {
  const { roles, tenants, description, expires } = options;
  const created = await clientOf(terminal, options.url).fetchJson(createdSchema, {
    method: 'POST',
    path: '/v1/keys',
    json: {
      roles,
      ...(tenants.length === 0 ? {} : { tenants }),
      ...(description === undefined ? {} : { description }),
      ...(expires === undefined ? {} : { expiresAt: expires }),
    },
  });
  if (options.output === 'json') terminal.out(`${JSON.stringify(created, undefined, 2)}\n`);
  else terminal.out(`${created.key}\n`);
  terminal.err(`key ${created.id} with ${created.roles.join(', ')}: it is shown this once, keep it now\n`);
}

export async function revokeKey(terminal: Terminal, id: string, options: KeyOptions): Promise<void> {
  const path = `/v1/keys/${encodeURIComponent(id)}`;
  await clientOf(terminal, options.url).fetch({ method: 'DELETE', path });
  terminal.err(`key ${id} is revoked\n`);
}

export async function listKeys(terminal: Terminal, options: KeyOptions): Promise<void> {
  const items = await itemsOf(clientOf(terminal, options.url), listSchema, '/v1/keys');
  printData(terminal, options.output, { items }, () => ({
    columns: ['id', 'state', 'roles', 'tenants', 'created', 'description'],
    rows: items.map(key => [
      key.id,
      stateOf(key),
      key.roles.join(','),
      key.tenants?.join(',') ?? 'all',
      key.createdAt,
      key.description,
    ]),
  }));
}

function stateOf({ revokedAt, expiresAt }: z.output<typeof keySchema>): string {
  if (revokedAt !== undefined) return `revoked ${revokedAt}`;
  return expiresAt === undefined ? 'active' : `until ${expiresAt}`;
}
