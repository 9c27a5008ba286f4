/**
 * The connection to Redis: commands that are never queued, never sent twice and never retried behind our back.
 * Invariant: nothing that leaves this file, an error included, holds a password or an argument of a command.
 */
import { Cluster, Redis } from 'ioredis';
import { messageOf } from '../../domain/errors.ts';
import { StoreFailure } from '../../limits/failover/shared-store.ts';

/** Oldest version whose scripts see their own writes refused before the first one when memory is short. */
const MIN_MAJOR_VERSION = 7;
/** How long a new connection may take, TLS included, in milliseconds. */
const CONNECT_TIMEOUT_MS = 2000;
/** Pauses between attempts to connect, in milliseconds: the attempt's number times the first, up to the longest. */
const RECONNECT_STEP_MS = 50;
const LONGEST_RECONNECT_MS = 1000;
/** RESP2: what every server, proxy and managed service speaks. */
const PROTOCOL = 2 as const;
/** Longest message that is passed on, in characters. */
const MAX_MESSAGE_LENGTH = 300;

export interface RedisOptionsOfService {
  readonly nodes: readonly { readonly host: string; readonly port: number }[];
  readonly topology: 'single' | 'cluster';
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** PEM texts; undefined: no TLS. */
  readonly tls?:
    | {
        readonly ca?: string | undefined;
        readonly cert?: string | undefined;
        readonly key?: string | undefined;
      }
    | undefined;
}

export interface ConnectionObserver {
  /** There is no connection any more. */
  readonly onLost: (reason: string) => void;
}

/** A script with the digest by which Redis knows it, once it was loaded. */
export interface LoadedScript {
  readonly lua: string;
  readonly sha: string;
}

export class RedisConnection {
  readonly #client: Redis | Cluster;
  #lastError: string | undefined;
  #closing = false;

  constructor(options: RedisOptionsOfService, observer: ConnectionObserver) {
    this.#client = makeClient(options);
    // an error without a listener would be written to the console, arguments included
    this.#client.on('error', (error: unknown) => {
      this.#lastError = plainMessage(error);
    });
    this.#client.on('close', () => {
      if (!this.#closing) observer.onLost(this.#lastError ?? 'the connection was closed');
    });
  }

  /**
   * Connects where there is no connection, and makes sure that limits are safe with this Redis.
   * @throws StoreFailure with what is wrong
   */
  async verify(): Promise<void> {
    await this.#connect();
    const nodes = this.#client instanceof Cluster ? this.#client.nodes('master') : [this.#client];
    if (nodes.length === 0) throw new StoreFailure('no primary of the cluster is known');
    for (const node of nodes) verifyNode(await guarded(node.info()));
  }

  /** Loads a script. @throws StoreFailure */
  async load(lua: string): Promise<LoadedScript> {
    const sha = await guarded(this.#client.script('LOAD', lua));
    if (typeof sha !== 'string') throw new StoreFailure('a script was loaded without an answer');
    return { lua, sha };
  }

  /** Runs a script, by its digest where Redis knows it. @throws StoreFailure */
  run(script: LoadedScript, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const running = this.#client.evalsha(script.sha, keys.length, ...keys, ...args);
    return running.catch((error: unknown) => {
      const reason = plainMessage(error);
      // a restart or a failover forgets scripts; nothing of this one has run
      if (!reason.startsWith('NOSCRIPT')) throw new StoreFailure(reason);
      return guarded(this.#client.eval(script.lua, keys.length, ...keys, ...args));
    });
  }

  /** The value of a key; null: there is none. @throws StoreFailure */
  read(key: string): Promise<Buffer | null> {
    return guarded(this.#client.getBuffer(key));
  }

  close(): void {
    this.#closing = true;
    this.#client.disconnect();
  }

  async #connect(): Promise<void> {
    const { status } = this.#client;
    if (status === 'ready') return;
    if (status !== 'wait' && status !== 'end')
      throw new StoreFailure(this.#lastError ?? 'there is no connection yet');
    this.#lastError = undefined;
    try {
      await this.#client.connect();
    } catch (error) {
      // the driver says here that the connection was closed, and by an event why
      throw new StoreFailure(this.#lastError ?? plainMessage(error));
    }
  }
}

function makeClient({ nodes, topology, username, password, tls }: RedisOptionsOfService): Redis | Cluster {
  const retryStrategy = (times: number): number => Math.min(times * RECONNECT_STEP_MS, LONGEST_RECONNECT_MS);
  const common = {
    lazyConnect: true,
    // what may have been done is never done again
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    connectionName: 'duramen',
    // nothing that an older server or a proxy does not know, or a user has to be given rights for
    protocol: PROTOCOL,
    disableClientInfo: true,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: definedOf(tls) }),
  };
  const [first] = nodes;
  if (first === undefined) throw new Error('Redis has no address');
  // a decision that waited for a connection would be answered long after its caller has gone
  if (topology === 'single')
    return new Redis({ ...common, ...first, retryStrategy, enableOfflineQueue: false });
  return new Cluster([...nodes], {
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: retryStrategy,
    // certificates name hosts: keep the names that the cluster tells
    ...(tls === undefined ? {} : { dnsLookup: (address, found) => found(null, address) }),
    redisOptions: common,
  });
}

function definedOf(tls: NonNullable<RedisOptionsOfService['tls']>): Record<string, string> {
  const entries: [string, string][] = [];
  for (const [name, value] of Object.entries(tls)) if (value !== undefined) entries.push([name, value]);
  return Object.fromEntries(entries);
}

/** @throws StoreFailure when limits would not be safe with this node */
function verifyNode(info: string): void {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim();
  const version = field('redis_version') ?? '';
  if (!(Number.parseInt(version, 10) >= MIN_MAJOR_VERSION)) {
    throw new StoreFailure(
      `Redis ${version || 'of an unknown version'} is too old: ${MIN_MAJOR_VERSION}.0 or later is needed`,
    );
  }
  if (field('role') !== 'master')
    throw new StoreFailure('the address leads to a replica, which takes no writes');
  const policy = field('maxmemory_policy') ?? 'unknown';
  if (policy !== 'noeviction' && field('maxmemory') !== '0') {
    throw new StoreFailure(
      `maxmemory-policy is \`${policy}\`, which forgets budgets when memory is short: set it to \`noeviction\``,
    );
  }
}

async function guarded<T>(command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    throw new StoreFailure(plainMessage(error));
  }
}

/**
 * The message alone: errors of the driver carry the command with its arguments, AUTH and its password too. Servers
 * that do not know a command repeat its arguments in the message.
 */
function plainMessage(error: unknown): string {
  const [line = ''] = messageOf(error).split(/\n|, with args beginning with/, 1);
  return line.slice(0, MAX_MESSAGE_LENGTH);
}
