/**
 * The decision log in memory: the reference for what every backend answers, and the log of tests. Invariant:
 * entries are encoded, hashed and filtered by the same functions as in a durable log; only durability is missing.
 */
import { leafFacts, type LeafFacts, reportedDecision } from '../../decision-log/leaf-facts.ts';
import { LeafCompleter, requireComplete } from '../../decision-log/late-values.ts';
import { leafHash } from '../../decision-log/leaf-hash.ts';
import { LeafWriter, MAX_LEAF_BYTES, refuseLargeLeaf, type WrittenLeaf } from '../../decision-log/leaf.ts';
import type { LeafPrivacy } from '../../decision-log/leaf-privacy.ts';
import { loggedLeaf } from '../../decision-log/logged-leaf.ts';
import type {
  DecisionLog,
  DecisionQuery,
  EventQuery,
  LoggedLeaf,
  LogPosition,
  LogReader,
  LogTree,
  Page,
  SealedOpening,
  SignedCheckpoint,
} from '../../decision-log/ports.ts';
import {
  cursorAfter,
  matches,
  planDecisions,
  planEvents,
  type QueryPlan,
} from '../../decision-log/query-plan.ts';
import { type NamedAges, namedChanges, namedRevision } from '../../decision-log/store-ages.ts';
import { signCheckpoint } from '../../decision-log/checkpoint.ts';
import { ed25519Signer, type Ed25519Signer, formatSignerKey } from '../../decision-log/signed-note.ts';
import { AppError } from '../../domain/errors.ts';
import type { LogEntry } from '../../domain/log-entry.ts';
import { MemoryTree, type TreeLeaf } from './log-tree.ts';

interface Row extends TreeLeaf {
  readonly leaf: LoggedLeaf;
  readonly facts: LeafFacts;
  /** An event that is in the log already. */
  readonly repeated: boolean;
}

/** What a log in memory may be given; the default is for tests that look at none of it. */
interface MemoryLogOptions {
  readonly privacy?: LeafPrivacy;
  /** Of the signing key, 32 bytes; by default made from the origin, which protects nothing. */
  readonly seed?: Uint8Array;
  /** Of salts; by default zeros, which protect nothing. */
  readonly random?: (size: number) => Uint8Array;
}

export class MemoryLog implements DecisionLog, LogReader {
  readonly origin: string;
  readonly saturated = false;
  readonly tree: LogTree;
  private readonly writer: LeafWriter;
  private readonly signer: Ed25519Signer;
  private readonly rows: Row[] = [];
  private readonly sealed = new Map<number, SealedOpening>();
  private readonly completer: LeafCompleter;
  private readonly eventIds = new Set<string>();
  /** The first entry that reports the outcome of a decision, by its id. */
  private readonly outcomes = new Map<string, LoggedLeaf>();
  private closed = false;

  constructor(origin: string, { privacy = UNREGISTERED, seed, random = zeros }: MemoryLogOptions = {}) {
    this.origin = origin;
    this.writer = new LeafWriter(privacy);
    this.completer = new LeafCompleter(random);
    this.tree = new MemoryTree(this.rows);
    this.signer = ed25519Signer(formatSignerKey(origin, seed ?? leafHash(Buffer.from(origin))));
  }

  get size(): number {
    return this.rows.length;
  }

  /** The verifier key that goes with its checkpoints. */
  get verifierKey(): string {
    return this.signer.verifierKey;
  }

  async append(entry: LogEntry): Promise<LogPosition> {
    if (this.closed) throw new AppError('LOG_UNAVAILABLE', 'the decision log is closed');
    const written = this.writer.write(entry);
    const bytes = Buffer.from(written.text);
    if (bytes.length > MAX_LEAF_BYTES) refuseLargeLeaf();
    const sealed = this.complete(bytes, written);
    const index = this.rows.length;
    const hash = leafHash(bytes);
    const leaf = loggedLeaf(index, Buffer.from(hash).toString('hex'), bytes.toString());
    const facts = leafFacts(leaf.content);
    const repeated = facts.isEvent && this.eventIds.has(facts.id);
    if (facts.isEvent) this.eventIds.add(facts.id);
    const reported = reportedDecision(leaf.content);
    if (reported !== undefined && !repeated) this.report(reported, leaf);
    this.rows.push({ bytes, hash, time: facts.time, leaf, facts, repeated });
    const subject = written.late?.subject;
    if (sealed !== undefined && subject !== undefined) {
      this.sealed.set(index, { subject: subject.pseudonym, sealed });
    }
    return { origin: this.origin, index, size: this.rows.length };
  }

  private complete(bytes: Buffer, { late }: WrittenLeaf): Uint8Array | undefined {
    if (late !== undefined) return this.completer.complete(bytes, late);
    requireComplete(bytes);
    return undefined;
  }

  async signCheckpoint(): Promise<SignedCheckpoint> {
    if (this.closed) throw new AppError('LOG_UNAVAILABLE', 'the decision log is closed');
    const { origin, size } = this;
    const root = await this.tree.root(size);
    const note = signCheckpoint({ origin, size, root }, [this.signer]);
    return { origin, size, root, time: this.rows.at(-1)?.time ?? 0, note };
  }

  async openings(indexes: readonly number[]): Promise<ReadonlyMap<number, SealedOpening>> {
    const found = new Map<number, SealedOpening>();
    for (const index of indexes) {
      const opening = this.sealed.get(index);
      if (opening !== undefined) found.set(index, opening);
    }
    return found;
  }

  async decisions(query: DecisionQuery): Promise<Page<LoggedLeaf>> {
    return this.page(planDecisions(query));
  }

  async events(query: EventQuery): Promise<Page<LoggedLeaf>> {
    return this.page(planEvents(query));
  }

  async decision(id: string, tenants?: readonly string[]): Promise<LoggedLeaf | undefined> {
    const found = this.rows.find(({ facts }) => !facts.isEvent && facts.id === id);
    const visible = found?.facts.values.get('visible') ?? [];
    return tenants === undefined || tenants.some(tenant => visible.includes(tenant))
      ? found?.leaf
      : undefined;
  }

  async outcome(id: string): Promise<LoggedLeaf | undefined> {
    return this.outcomes.get(id);
  }

  async leaf(index: number): Promise<Uint8Array | undefined> {
    return this.rows[index]?.bytes;
  }

  async named(from: number, to: number): Promise<NamedAges> {
    let named: NamedAges = {};
    for (const { leaf } of this.rows.slice(from, to)) {
      const { index, content } = leaf;
      const changes = namedChanges(content);
      const revision = namedRevision(content);
      // a revision counts behind the entry that names changes
      if (changes !== undefined) named = { changes: { ...changes, index } };
      else if (revision !== undefined) named = { ...named, revision: { revision, index } };
    }
    return named;
  }

  async lag(): Promise<number> {
    return 0;
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  /** Gives the decision a fact that its own leaf does not have. */
  private report(id: string, leaf: LoggedLeaf): void {
    if (!this.outcomes.has(id)) this.outcomes.set(id, leaf);
    const at = this.rows.findIndex(({ facts }) => !facts.isEvent && facts.id === id);
    const row = this.rows[at];
    if (row === undefined) return;
    const known = row.facts.values.get('outcome') ?? [];
    const values = new Map(row.facts.values).set('outcome', [...known, 'reported']);
    this.rows[at] = { ...row, facts: { ...row.facts, values } };
  }

  private page(plan: QueryPlan): Page<LoggedLeaf> {
    const ordered = plan.order === 'asc' ? this.rows : this.rows.toReversed();
    const found = ordered.filter(
      ({ leaf, facts, repeated }) =>
        !repeated &&
        (plan.after === undefined ||
          (plan.order === 'asc' ? leaf.index > plan.after : leaf.index < plan.after)) &&
        matches(facts, plan),
    );
    const items = found.slice(0, plan.limit).map(({ leaf }) => leaf);
    const last = items.at(-1);
    return {
      items,
      nextCursor: found.length > items.length && last !== undefined ? cursorAfter(last.index, plan) : null,
    };
  }
}

/** Knows nobody: every principal is one that was never registered. */
const UNREGISTERED: LeafPrivacy = {
  subject: () => undefined,
  unregistered: entity => `u:${shortHash(entity, 16)}`,
  inputDigest: ({ tenant, resource, hash }) => ({
    kid: `${tenant}/none`,
    mac: shortHash(JSON.stringify([tenant, resource, hash]), 32),
  }),
  personalKeys: new Set(),
};

function zeros(size: number): Uint8Array {
  return new Uint8Array(size);
}

/** Without a key: what stands for tests only. */
function shortHash(text: string, bytes: number): string {
  return Buffer.from(leafHash(Buffer.from(text)).subarray(0, bytes)).toString('base64url');
}
