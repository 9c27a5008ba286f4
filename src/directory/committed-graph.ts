/**
 * The current graph, in step with the store. Invariants: a graph is published only after its commit is durable,
 * and then at once; when the store fails in the middle of a commit, it is asked what it holds before anything
 * else is written.
 */
import { timestamp } from '../domain/clock.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import { DirectoryGraph } from './graph.ts';
import type { DirectoryStore, DirectoryTransaction } from './ports.ts';
import type { WriteQueue } from './write-queue.ts';

/** Pause before the store is asked again about a commit that it could not confirm, in milliseconds. */
const CONFIRM_RETRY_MS = 500;

export interface CommitOptions {
  readonly store: DirectoryStore;
  /** Told of each new graph synchronously, in the same turn in which reads begin to see it. */
  readonly publish: (graph: DirectoryGraph) => void;
  /** Called after a change and its event are durable in the store: carries the event to the log. */
  readonly announce: (event: EventEntry) => Promise<void>;
}

/** Every method but `current` is called in the caller's turn of the write queue. */
export class CommittedGraph {
  readonly #options: CommitOptions;
  readonly #queue: WriteQueue;
  #current = DirectoryGraph.empty();
  /** A commit that was neither confirmed nor denied. */
  #unconfirmed: { readonly graph: DirectoryGraph; readonly event: EventEntry } | undefined;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: CommitOptions, queue: WriteQueue) {
    this.#options = options;
    this.#queue = queue;
  }

  get current(): DirectoryGraph {
    return this.#current;
  }

  /** Takes a graph that says the same in another way: the caller publishes it. */
  adopt(graph: DirectoryGraph): void {
    this.#current = graph;
  }

  /** The point of no return: after the store's commit the change survives a crash, and is published at once. */
  async commit(tx: DirectoryTransaction, graph: DirectoryGraph, event: EventEntry): Promise<void> {
    let revision: number;
    try {
      revision = await tx.commit(timestamp(event.time), event);
    } catch (error) {
      this.#unconfirmed = { graph, event };
      await this.#decide().catch(() => this.#decideLater());
      if (this.#current !== graph) throw error;
      return;
    }
    if (revision !== graph.revision) {
      throw new Error(`the store is at revision ${revision}, the directory expected ${graph.revision}`);
    }
    this.#publish(graph);
  }

  /** Finds out about an unconfirmed commit; its event follows. @throws AppError while the store cannot say */
  async confirm(): Promise<void> {
    const event = await this.#decide();
    // The event is in the outbox: if it cannot be announced now, it is with the next one.
    if (event !== undefined) this.#options.announce(event).catch(() => undefined);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
  }

  /** @returns the event of the unconfirmed commit when the store has it */
  async #decide(): Promise<EventEntry | undefined> {
    const unconfirmed = this.#unconfirmed;
    if (unconfirmed === undefined) return undefined;
    const { graph, event } = unconfirmed;
    const revision = await this.#options.store.revision();
    this.#unconfirmed = undefined;
    if (revision === graph.revision) {
      this.#publish(graph);
      return event;
    }
    if (revision === this.#current.revision) return undefined;
    throw new Error(`the store is at revision ${revision}, the directory at ${this.#current.revision}`);
  }

  /** A durable change must not wait for the next write to be seen: it may take a permission away. */
  #decideLater(): void {
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#queue.run(() => this.confirm()).catch(() => this.#decideLater());
    }, CONFIRM_RETRY_MS).unref();
  }

  #publish(graph: DirectoryGraph): void {
    this.#current = graph;
    this.#options.publish(graph);
  }
}
