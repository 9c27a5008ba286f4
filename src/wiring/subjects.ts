/**
 * The registry of subjects in front of the directory and the log. Invariant: whoever is in the directory was given
 * a pseudonym before, and each of its tenants a key; both were durable before the directory's commit began.
 */
import type { LogTree, SubjectStore } from '../decision-log/ports.ts';
import { entityKey, isPrincipalType } from '../decision-log/subject-name.ts';
import { SubjectRegistry } from '../decision-log/subject-registry.ts';
import type { Timers } from '../decision-log/timers.ts';
import type { DirectoryStore, DirectoryTransaction, EntityWrite } from '../directory/ports.ts';
import type { Clock } from '../domain/clock.ts';
import type { EntityRef } from '../domain/ids.ts';
import { NAMESPACE } from '../domain/names.ts';
import type { EntityUid } from '../domain/value.ts';
import type { RandomBytes } from '../identity/key-format.ts';
import type { Logger } from '../telemetry/logger.ts';

/** How often month keys are made ahead and outlived ones destroyed, in milliseconds. */
const UPKEEP_MS = 3_600_000;
const TENANT = 'Tenant';

export interface SubjectParts {
  readonly store: SubjectStore;
  readonly directory: DirectoryStore;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly logger: Logger;
}

/** What can say which context keys are personal: the schema that is active. */
interface PersonalSchema {
  readonly personalKeys: ReadonlySet<string>;
}

export class Subjects {
  readonly registry: SubjectRegistry;
  /** The directory's store, which registers whoever comes into the directory. */
  readonly directory: DirectoryStore;
  readonly #personal = new PersonalKeys();
  readonly #parts: SubjectParts;
  #stop: () => void = () => undefined;
  #upkeep: Promise<void> = Promise.resolve();

  /** Knows nobody before `load` has resolved, and can name nobody unknown before `makeMonthKeys` has. */
  constructor(parts: SubjectParts) {
    const { store, clock, random, logger } = parts;
    this.#parts = parts;
    this.registry = new SubjectRegistry({
      store,
      clock,
      random,
      personalKeys: () => this.#personal.current,
      onError: error => logger.error({ err: error }, 'month keys could not be made: older ones stay in use'),
    });
    this.directory = registering(parts.directory, this.registry);
  }

  /** Loads the registry, once, and changes nothing. Rejects as the store. */
  load(): Promise<void> {
    return this.registry.load();
  }

  /** See `SubjectRegistry.makeMonthKeys`. */
  makeMonthKeys(): Promise<void> {
    return this.registry.makeMonthKeys();
  }

  /** Says which context keys are personal: those configured, and those of the schema at the time of a decision. */
  setPersonalKeys(configured: readonly string[], schema: () => PersonalSchema | undefined): void {
    this.#personal.use(configured, schema);
  }

  /** How details of an event may name an entity: by its key, a principal by its pseudonym. @param time in milliseconds */
  nameInLog({ type, key }: Pick<EntityUid, 'type' | 'key'>, time: number): string {
    if (!isPrincipalType(type.slice(NAMESPACE.length + 2))) return key;
    return this.registry.subject(key)?.pseudonym ?? this.registry.unregistered(key, time);
  }

  /** Looks after the month keys from now on. @param tree tells how far back entries are kept */
  start(tree: Pick<LogTree, 'shards'>, timers: Timers): void {
    this.#stop = timers.after(UPKEEP_MS, () => {
      this.start(tree, timers);
      this.#upkeep = this.#keepMonths(tree).catch((error: unknown) => {
        this.#parts.logger.error({ err: error }, 'the month keys of the log could not be looked after');
      });
    });
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#upkeep;
  }

  async #keepMonths(tree: Pick<LogTree, 'shards'>): Promise<void> {
    await this.registry.makeMonthKeys();
    const oldest = (await tree.shards()).find(({ kept, entries }) => kept && entries > 0);
    // A clock that was set back must not take the keys of the months that it is in again.
    if (oldest !== undefined)
      await this.registry.dropMonthKeys(Math.min(oldest.from, this.#parts.clock.now()));
  }
}

/** The union of what the configuration and the active schema say, made anew when another schema is active. */
class PersonalKeys {
  #configured: readonly string[] = [];
  #schema: (() => PersonalSchema | undefined) | undefined;
  #last: ReadonlySet<string> | undefined;
  #union: ReadonlySet<string> = new Set();

  use(configured: readonly string[], schema: () => PersonalSchema | undefined): void {
    this.#configured = configured;
    this.#schema = schema;
    this.#last = undefined;
    this.#union = new Set(configured);
  }

  get current(): ReadonlySet<string> {
    if (this.#schema === undefined)
      throw new Error('a decision was logged before it was known what is personal');
    const marked = this.#schema()?.personalKeys;
    if (marked !== this.#last && marked !== undefined) {
      this.#last = marked;
      this.#union = new Set([...this.#configured, ...marked]);
    }
    return this.#union;
  }
}

function registering(inner: DirectoryStore, registry: SubjectRegistry): DirectoryStore {
  return {
    revision: () => inner.revision(),
    at: (ref, revision) => inner.at(ref, revision),
    loadAt: revision => inner.loadAt(revision),
    async *load() {
      for await (const chunk of inner.load()) {
        await admit(
          chunk.map(({ ref }) => ref),
          registry,
        );
        yield chunk;
      }
    },
    async begin() {
      return new RegisteringTransaction(await inner.begin(), registry);
    },
  };
}

class RegisteringTransaction implements DirectoryTransaction {
  readonly #inner: DirectoryTransaction;
  readonly #registry: SubjectRegistry;
  readonly #arriving: EntityRef[] = [];
  readonly #leavingTenants: string[] = [];

  constructor(inner: DirectoryTransaction, registry: SubjectRegistry) {
    this.#inner = inner;
    this.#registry = registry;
  }

  write(chunk: readonly EntityWrite[]): Promise<void> {
    for (const { ref, body } of chunk) {
      if (body !== null) this.#arriving.push(ref);
      else if (ref.type === TENANT) this.#leavingTenants.push(ref.id);
    }
    return this.#inner.write(chunk);
  }

  async commit(...args: Parameters<DirectoryTransaction['commit']>): Promise<number> {
    // Durable before the commit: a crash in between leaves a pseudonym that nobody uses, never a name without one.
    await admit(this.#arriving, this.#registry);
    const revision = await this.#inner.commit(...args);
    this.#registry.removeTenants(this.#leavingTenants);
    return revision;
  }

  rollback(): Promise<void> {
    return this.#inner.rollback();
  }
}

async function admit(refs: readonly EntityRef[], registry: SubjectRegistry): Promise<void> {
  await registry.register(refs.filter(({ type }) => isPrincipalType(type)).map(entityKey));
  await registry.addTenants(refs.filter(({ type }) => type === TENANT).map(({ id }) => id));
}
