/**
 * Blocks for those who run into limits again and again. Invariants: a block neither grows nor counts while it lasts;
 * principals and addresses are counted apart; memory is bounded, and no block is forgotten to make room; the clock
 * never goes back, so that setting it back frees and blocks nobody.
 */
import type { Penalties, PenaltyRules } from '../../domain/guard-rules.ts';

/** What can be blocked: a principal by its entity key, an address by its canonical form (IPv6 as its /64). */
export const PENALTY_KINDS = ['principal', 'address'] as const;
export type PenaltyKind = (typeof PENALTY_KINDS)[number];

/** Most subjects of one kind that are remembered; some 200 bytes each, and 8 for each violation in the window. */
export const MAX_PENALTY_SUBJECTS = 100_000;
/** Subjects that are looked at to make room for one: a table full of blocks costs each violation no more than this. */
const ROOM_STEPS = 64;
/** Doublings beyond which no block grows: 2^31 seconds are longer than any maximum. */
const MAX_LEVEL = 32;

/** A block, as it is shown, logged and kept. */
export interface Penalty {
  readonly kind: PenaltyKind;
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly until: number;
  /** How many blocks, less those forgotten, including this one: 1 and more. */
  readonly level: number;
  /** The limit whose denial made it full: `platform/user-burst`. */
  readonly limit: string;
}

/** Tallies of one subject, and its last block. */
interface Standing {
  /** Instants of the violations that count, oldest first; less than the rules need for a block. */
  violations: number[];
  penalty: Penalty | undefined;
}

type Table = Map<string, Standing>;

export class PenaltyBox {
  readonly #rules: () => Penalties | undefined;
  readonly #tables: Readonly<Record<PenaltyKind, Table>> = { principal: new Map(), address: new Map() };
  /** Where the search for room goes on. */
  readonly #hands: Record<PenaltyKind, MapIterator<[string, Standing]>> = {
    principal: this.#tables.principal.entries(),
    address: this.#tables.address.entries(),
  };
  readonly #maxSubjects: number;
  #now = Number.NEGATIVE_INFINITY;

  /** @param rules those in force, asked at each violation; undefined: nobody is blocked anew */
  constructor(rules: () => Penalties | undefined, maxSubjects = MAX_PENALTY_SUBJECTS) {
    this.#rules = rules;
    this.#maxSubjects = maxSubjects;
  }

  /** Whether anything is known of a kind, so that nobody need name what is none. */
  remembers(kind: PenaltyKind): boolean {
    return this.#tables[kind].size > 0;
  }

  /** The block that a subject is under; on the path of each decision. @param now milliseconds since the epoch */
  blocked(kind: PenaltyKind, id: string, now: number): Penalty | undefined {
    const penalty = this.#tables[kind].get(id)?.penalty;
    return penalty !== undefined && this.#clock(now) < penalty.until ? penalty : undefined;
  }

  /**
   * Counts a denial by a limit. Who is blocked already is not counted: calls that were under way when the block began
   * do not lengthen it.
   * @param limit name of the limit that denied @returns the block that begins with this violation
   */
  violate(kind: PenaltyKind, id: string, limit: string, at: number): Penalty | undefined {
    const rules = this.#rules()?.[kind];
    if (rules === undefined) return undefined;
    const now = this.#clock(at);
    const table = this.#tables[kind];
    const standing = table.get(id) ?? { violations: [], penalty: undefined };
    const { penalty: last } = standing;
    if (last !== undefined && now < last.until) return undefined;
    if (!this.#touch(kind, id, standing, rules, now)) return undefined;
    const from = now - rules.within;
    standing.violations = standing.violations.filter(instant => instant > from);
    standing.violations.push(now);
    if (standing.violations.length < rules.violations) return undefined;
    const level = Math.min(MAX_LEVEL, remembered(last, rules, now) + 1);
    standing.violations = [];
    standing.penalty = { kind, id, since: now, until: now + blockMs(rules, level), level, limit };
    return standing.penalty;
  }

  /** Ends a block and forgets what led to it, doublings too. @returns the block; undefined: there is none */
  lift(kind: PenaltyKind, id: string, now: number): Penalty | undefined {
    const penalty = this.blocked(kind, id, now);
    if (penalty !== undefined) this.#tables[kind].delete(id);
    return penalty;
  }

  /** The blocks that last, those that end first in front. */
  list(at: number): readonly Penalty[] {
    const now = this.#clock(at);
    const lasting: Penalty[] = [];
    for (const kind of PENALTY_KINDS) {
      for (const { penalty } of this.#tables[kind].values()) {
        if (penalty !== undefined && now < penalty.until) lasting.push(penalty);
      }
    }
    return lasting.toSorted((one, other) => one.until - other.until || (one.id < other.id ? -1 : 1));
  }

  /** Takes over a block that was kept: the newest of a subject counts. */
  restore(penalty: Penalty): void {
    const table = this.#tables[penalty.kind];
    const known = table.get(penalty.id)?.penalty;
    if (known === undefined || known.since <= penalty.since)
      table.set(penalty.id, { violations: [], penalty });
  }

  /** Forgets a subject that was erased. */
  forget(kind: PenaltyKind, id: string): void {
    this.#tables[kind].delete(id);
  }

  #clock(now: number): number {
    if (now > this.#now) this.#now = now;
    return this.#now;
  }

  /**
   * Puts a subject at the end of the table, so that its order is that of the last violations, and makes room for a new
   * one. @returns false when everything that was looked at has a block to remember
   */
  #touch(kind: PenaltyKind, id: string, standing: Standing, rules: PenaltyRules, now: number): boolean {
    const table = this.#tables[kind];
    const isNew = !table.delete(id);
    if (isNew && table.size >= this.#maxSubjects && !this.#makeRoom(kind, rules, now)) return false;
    table.set(id, standing);
    return true;
  }

  /** Forgets the next subject that has nothing to remember. */
  #makeRoom(kind: PenaltyKind, rules: PenaltyRules, now: number): boolean {
    const table = this.#tables[kind];
    for (let step = 0; step < ROOM_STEPS; step++) {
      // going on where the last search ended: beginning at the front would pass everything that left it
      let next = this.#hands[kind].next();
      if (next.done === true) {
        this.#hands[kind] = table.entries();
        next = this.#hands[kind].next();
        if (next.done === true) return false;
      }
      const [id, { penalty }] = next.value;
      if (penalty === undefined || (now >= penalty.until && remembered(penalty, rules, now) === 0)) {
        return table.delete(id);
      }
    }
    return false;
  }
}

/** The level of a block that is over, less one for each quiet time since its end. */
function remembered(penalty: Penalty | undefined, { forget }: PenaltyRules, now: number): number {
  if (penalty === undefined) return 0;
  const quiet = Math.max(0, now - penalty.until);
  return Math.max(0, penalty.level - Math.floor(quiet / forget));
}

function blockMs({ block, maxBlock }: PenaltyRules, level: number): number {
  return Math.min(maxBlock, block * 2 ** (level - 1));
}
