/**
 * The log of a running service as named resources, over its API. Invariant: what the service says is believed
 * nowhere: every byte is checked against a checkpoint that the log's key has signed.
 */
import { z } from 'zod';
import type { ApiClient } from './client.ts';
import { CliError } from './exit-code.ts';
import { CHECKPOINT_FILE, KEY_FILE, MAX_FILE_BYTES } from './log-folder.ts';

const shardsSchema = z.looseObject({
  items: z.array(z.looseObject({ name: z.string(), first: z.int().nonnegative(), kept: z.boolean() })),
});

export class LogServer {
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  /** @param name as in a folder: `checkpoint`, `log.vkey`, `tile/…` */
  read(name: string): Promise<Buffer | undefined> {
    const resource = name === KEY_FILE ? 'key' : name;
    return this.#client.fetchBytes(`/v1/log/${resource}`, MAX_FILE_BYTES);
  }

  async checkpoint(): Promise<Buffer> {
    const note = await this.read(CHECKPOINT_FILE);
    if (note !== undefined) return note;
    throw new CliError('the service has no checkpoint to verify', {
      hint: 'use the client and the service of the same version',
    });
  }

  /** Names of the shards, and the first entry that retention left, as the service says. */
  async shards(): Promise<{ readonly names: readonly string[]; readonly firstKept: number }> {
    const { items } = await this.#client.fetchJson(shardsSchema, { path: '/v1/log/shards' });
    return {
      names: items.map(({ name }) => name),
      firstKept: items.find(({ kept }) => kept)?.first ?? 0,
    };
  }

  /** Says how far the copy of that name has come: retention removes nothing beyond. */
  async acknowledge(name: string, size: number): Promise<void> {
    await this.#client.fetch({
      method: 'PUT',
      path: `/v1/log/exports/${encodeURIComponent(name)}`,
      json: { acknowledged: size },
    });
  }
}
