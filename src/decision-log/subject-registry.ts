/**
 * Who stands behind the pseudonyms of the log, in memory in front of its store. Invariants: a pseudonym or key is
 * used only after it is durable; an erased principal is unknown here from the moment its erasure is durable;
 * everything that a leaf needs is answered synchronously.
 */
import type { Clock } from '../domain/clock.ts';
import type { EntityRef } from '../domain/ids.ts';
import type { EventEntry } from '../domain/log-entry.ts';
import type { DueDigest, InputDigest, InputReference, LeafPrivacy, Subject } from './leaf-privacy.ts';
import { DIGEST_KEY_BYTES, monthAfter, MonthKeyring, monthOf, NAMES_KEY_BYTES } from './month-keyring.ts';
import type { ErasedTraces, MonthKey, SubjectResolver, SubjectStore } from './ports.ts';
import { entityKey, PRINCIPAL_TYPES } from './subject-name.ts';
import { PSEUDONYM_BYTES, pseudonymBytes, SUBJECT_KEY_BYTES, SubjectTable } from './subject-table.ts';

/** Subjects that are made durable at once. */
const CHUNK = 2_000;
/** Month keys that are made durable at once. */
const KEY_CHUNK = 1_000;
/** Shortest pause between two attempts to make keys that a decision missed, in milliseconds. */
const MISSING_PAUSE_MS = 1_000;

export interface SubjectRegistryOptions {
  readonly store: SubjectStore;
  readonly clock: Clock;
  /** Bytes of a cryptographically secure source. */
  readonly random: (size: number) => Uint8Array;
  /** Context keys that are personal under the active schema and the configuration. Cheap: asked per decision. */
  readonly personalKeys: () => ReadonlySet<string>;
  /** Hears of month keys that could not be made in the background. Must not throw. */
  readonly onError: (error: unknown) => void;
}

export class SubjectRegistry implements LeafPrivacy, SubjectResolver {
  readonly #options: SubjectRegistryOptions;
  readonly #table = new SubjectTable();
  readonly #months = new MonthKeyring(() => this.#miss());
  readonly #tenants = new Set<string>();
  /** Writes go one after the other. */
  #lastWrite: Promise<unknown> = Promise.resolve();
  #missedAt = Number.NEGATIVE_INFINITY;

  /** Knows nobody before `load` has resolved: nothing may be logged until then. */
  constructor(options: SubjectRegistryOptions) {
    this.#options = options;
  }

  /** A registry that is loaded and has its keys. Rejects as the store. */
  static async open(options: SubjectRegistryOptions): Promise<SubjectRegistry> {
    const registry = new SubjectRegistry(options);
    await registry.load();
    await registry.makeMonthKeys();
    return registry;
  }

  /** Loads everything, once, and changes nothing: `makeMonthKeys` is to follow. Rejects as the store. */
  async load(): Promise<void> {
    const { store } = this.#options;
    for await (const chunk of store.load()) this.#table.add(chunk);
    this.#months.add(await store.monthKeys());
  }

  /** Registered principals. */
  get size(): number {
    return this.#table.size;
  }

  get personalKeys(): ReadonlySet<string> {
    return this.#options.personalKeys();
  }

  subject(entity: string): Subject | undefined {
    return this.#table.find(entity);
  }

  unregistered(entity: string, time: number): string {
    return this.#months.name(entity, time);
  }

  inputDigest(input: InputReference, time: number): InputDigest | DueDigest {
    return this.#months.inputDigest(input, time);
  }

  /** The same of what was generated, made at once. */
  outputDigest(output: InputReference, time: number): InputDigest {
    return this.#months.outputDigest(output, time);
  }

  /** The digest of an input under the key that a leaf names; undefined when that key was destroyed. */
  inputMacBy(kid: string, input: InputReference): string | undefined {
    return this.#months.digestBy(kid, input);
  }

  /** Gives principals pseudonyms; resolves when all of them are durable. Rejects as the store. */
  register(entities: Iterable<string>): Promise<void> {
    // In order: the store keeps them so, and neighbours cost it less.
    const wanted = [...new Set(entities)].filter(entity => !this.#table.has(entity)).sort();
    if (wanted.length === 0) return Promise.resolve();
    return this.#inTurn(async () => {
      for (let at = 0; at < wanted.length; at += CHUNK) await this.#add(wanted.slice(at, at + CHUNK));
    });
  }

  /** Gives tenants keys for this month and the next, and from now on for every month. Rejects as the store. */
  async addTenants(tenants: Iterable<string>): Promise<void> {
    const added = [...new Set(tenants)].filter(tenant => !this.#tenants.has(tenant));
    if (added.length === 0) return;
    for (const tenant of added) this.#tenants.add(tenant);
    try {
      await this.makeMonthKeys();
    } catch (error) {
      this.removeTenants(added);
      throw error;
    }
  }

  /** Makes no more keys for tenants; those that there are stay until their month is dropped. */
  removeTenants(tenants: Iterable<string>): void {
    for (const tenant of tenants) this.#tenants.delete(tenant);
  }

  /** Makes the keys of this month and the next that there are not yet. Rejects as the store. */
  makeMonthKeys(): Promise<void> {
    return this.#inTurn(async () => {
      const month = monthOf(this.#options.clock.now());
      for (const wanted of [month, monthAfter(month)]) {
        const { input, unregistered } = this.#months.missing(this.#tenants, wanted);
        await this.#addKeys([], this.#fresh(unregistered, NAMES_KEY_BYTES));
        for (let at = 0; at < input.length; at += KEY_CHUNK) {
          await this.#addKeys(this.#fresh(input.slice(at, at + KEY_CHUNK), DIGEST_KEY_BYTES), []);
        }
      }
    });
  }

  /** Destroys the keys of the months before that of `time`, in milliseconds: no entry of theirs is kept. */
  dropMonthKeys(time: number): Promise<void> {
    return this.#inTurn(async () => {
      const before = monthOf(time);
      this.#months.drop(before);
      await this.#options.store.dropMonthKeys(before);
    });
  }

  /**
   * Forgets a principal. Rejects as `SubjectStore.erase`; an erasure that failed halfway may be asked for again.
   * @param describe the event, given the pseudonym; undefined: the principal was never registered
   * @param stays its entity lives and stays, under another pseudonym from here on
   */
  erase(
    principal: EntityRef,
    describe: (pseudonym: string | undefined) => EventEntry,
    stays = false,
  ): Promise<ErasedTraces & { readonly event: EventEntry }> {
    return this.#inTurn(async () => {
      const entity = entityKey(principal);
      const pseudonym = this.#table.find(entity)?.pseudonym;
      const unregistered = this.#months.withoutName(entity, this.#options.random);
      const event = describe(pseudonym);
      const erasure = {
        principal,
        unregistered,
        stays,
        ...(pseudonym === undefined ? {} : { pseudonym: pseudonymBytes(pseudonym) }),
      };
      const traces = await this.#options.store.erase(erasure, event);
      // Point of no return: nothing in the store leads from the pseudonym to the principal any more.
      this.#table.remove(entity);
      this.#months.add({ input: [], unregistered });
      if (stays) await this.#add([entity]);
      return { ...traces, event };
    });
  }

  /** Forgets every name of principals that were never registered: those erased may be among them. Rejects as the store. */
  forgetNames(): Promise<void> {
    return this.#inTurn(async () => {
      const unregistered = this.#months.otherNames(this.#options.random);
      await this.#options.store.replaceNameKeys(unregistered);
      this.#months.add({ input: [], unregistered });
    });
  }

  async resolve(pseudonyms: Iterable<string>): Promise<ReadonlyMap<string, string>> {
    return this.#collect(pseudonyms, pseudonym => this.#table.entityOf(pseudonym));
  }

  async keys(pseudonyms: Iterable<string>): Promise<ReadonlyMap<string, Uint8Array>> {
    return this.#collect(pseudonyms, pseudonym => this.#table.keyOf(pseudonym));
  }

  async pseudonymsOf(type: string | undefined, id: string): Promise<readonly string[]> {
    const types = type === undefined ? PRINCIPAL_TYPES : [type];
    return types.flatMap(one => {
      const entity = entityKey({ type: one, id });
      const own = this.#table.find(entity);
      const names = this.#months.names(entity);
      return own === undefined ? names : [own.pseudonym, ...names];
    });
  }

  #collect<T>(
    pseudonyms: Iterable<string>,
    find: (pseudonym: string) => T | undefined,
  ): ReadonlyMap<string, T> {
    const found = new Map<string, T>();
    for (const pseudonym of pseudonyms) {
      const value = find(pseudonym);
      if (value !== undefined) found.set(pseudonym, value);
    }
    return found;
  }

  async #add(wanted: readonly string[]): Promise<void> {
    const { store, random, clock } = this.#options;
    const entities = wanted.filter(entity => !this.#table.has(entity));
    if (entities.length === 0) return;
    const made = {
      entities,
      pseudonyms: random(entities.length * PSEUDONYM_BYTES),
      keys: random(entities.length * SUBJECT_KEY_BYTES),
    };
    // What the store has already comes first: an earlier call may have been durable without our hearing of it.
    this.#table.add(await store.add(made, clock.now()));
    this.#table.add(made);
  }

  #fresh(kids: readonly string[], size: number): readonly MonthKey[] {
    return kids.map(kid => ({ kid, key: this.#options.random(size) }));
  }

  async #addKeys(input: readonly MonthKey[], unregistered: readonly MonthKey[]): Promise<void> {
    if (input.length + unregistered.length === 0) return;
    const { store, clock } = this.#options;
    this.#months.add(await store.addMonthKeys({ input, unregistered }, clock.now()));
  }

  /** A decision had to fall back to another key: the right one is made for those that follow. */
  #miss(): void {
    const now = this.#options.clock.monotonic();
    if (now - this.#missedAt < MISSING_PAUSE_MS) return;
    this.#missedAt = now;
    this.makeMonthKeys().catch(this.#options.onError);
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const turn = this.#lastWrite.then(write, write);
    this.#lastWrite = turn.catch(() => undefined);
    return turn;
  }
}
