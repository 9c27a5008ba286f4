/**
 * Everything that limits have counted as bytes, in chunks. Invariant: what is read back counts exactly as what was
 * written, and numbers keep their keys, since journals that follow go by them.
 */
import { ByteReader, ByteWriter, KnownTexts } from './bytes.ts';
import { blankTerms } from './charging.ts';
import { f64, i32, NONE, u8 } from './columns.ts';
import { LEASES, RATE, WINDOW } from './counters.ts';
import { DecisionId } from './decision-id.ts';
import { OPEN, SETTLED } from './decisions.ts';
import { RELEASE } from './holds.ts';
import type { KeyAlias } from './key-alias.ts';
import { LimitState } from './limit-state.ts';
import { MAX_COUNTERS, UNITS } from './limit-journal.ts';
import { append } from './segments.ts';
import { WORDS } from './word-index.ts';

/** What a chunk holds. Written to the disk: a changed form gets another number (2 and 3 had keys and ids as texts). */
const HEAD = 1;
const COUNTERS = 4;
const DECISIONS = 5;

/** Bytes from which on a chunk ends. */
const CHUNK_BYTES = 262_144;
const UNIT_BITS = 3;
const EXPIRY_BITS = 2;
const UNIT_MASK = 7;
const EXPIRY_MASK = 3;
const LISTED = 1 << (UNIT_BITS + EXPIRY_BITS);

/**
 * Writes a state; nobody may change it meanwhile.
 * @param alias what keys are called in it; not needed for a state that was made of journals, which knows aliases alone
 */
export function* writeState(
  state: LimitState,
  chunkBytes = CHUNK_BYTES,
  alias: KeyAlias = knowsNoKey,
): Generator<Uint8Array> {
  const writer = new StateWriter(state, alias);
  const { bytes } = writer;
  bytes.u8(HEAD);
  bytes.f64(state.now);
  yield bytes.take();
  yield* writeAll(bytes, COUNTERS, chunkBytes, liveCounters(state), counter => writer.counter(counter));
  yield* writeAll(bytes, DECISIONS, chunkBytes, decisionsOf(state), decision => writer.decision(decision));
}

function* writeAll(
  bytes: ByteWriter,
  kind: number,
  chunkBytes: number,
  records: Iterable<number>,
  write: (record: number) => void,
): Generator<Uint8Array> {
  bytes.clear();
  for (const record of records) {
    if (bytes.length === 0) bytes.u8(kind);
    write(record);
    if (bytes.length < chunkBytes) continue;
    yield bytes.take();
    bytes.clear();
  }
  if (bytes.length > 0) yield bytes.take();
}

function* liveCounters({ counters }: LimitState): Generator<number> {
  for (let counter = 1; counter < counters.numbers.end; counter++) {
    if (counters.isTaken(counter)) yield counter;
  }
}

/** In the order in which they will be forgotten, and then in that in which they will end. */
function* decisionsOf({ decisions }: LimitState): Generator<number> {
  for (const chain of [decisions.past, decisions.live]) {
    for (let decision = chain.first; decision !== NONE; decision = decisions.nextOf(decision)) yield decision;
  }
}

class StateWriter {
  readonly bytes = new ByteWriter();
  readonly #state: LimitState;
  readonly #alias: KeyAlias;
  readonly #words = new Int32Array(WORDS);
  readonly #id = new DecisionId();

  constructor(state: LimitState, alias: KeyAlias) {
    this.#state = state;
    this.#alias = alias;
  }

  counter(counter: number): void {
    const { bytes } = this;
    const { counters, segments } = this.#state;
    const kind = u8(counters.kind, counter);
    counters.aliasOf(counter, this.#alias, this.#words);
    bytes.whole(counter);
    bytes.u8(kind);
    bytes.f64(f64(counters.span, counter));
    bytes.text(counters.nameOf(counter));
    bytes.words(this.#words);
    bytes.whole(f64(counters.cap, counter));
    bytes.whole(f64(counters.used, counter));
    bytes.f64(f64(counters.mark, counter));
    if (kind === RATE) {
      bytes.whole(f64(counters.held, counter));
      bytes.whole(f64(counters.speed, counter));
      bytes.whole(f64(counters.entered, counter));
    }
    for (let one = i32(counters.firstSegment, counter); one !== NONE; one = i32(segments.next, one)) {
      bytes.u8(1);
      bytes.f64(f64(segments.time, one));
      bytes.whole(f64(segments.sum, one));
    }
    bytes.u8(0);
  }

  decision(decision: number): void {
    const { bytes } = this;
    const { counters, holds, decisions } = this.#state;
    decisions.nameOf(decision, this.#id);
    this.#id.write(bytes);
    bytes.u8(u8(decisions.state, decision));
    bytes.u8(decisions.isPast(decision) ? 1 : 0);
    bytes.f64(f64(decisions.until, decision));
    for (let hold = i32(decisions.firstHold, decision); hold !== NONE; hold = i32(holds.sibling, hold)) {
      const counter = i32(holds.counter, hold);
      // its key has been reset: it finds nothing any more
      if (!counters.isSame(counter, i32(holds.generation, hold))) continue;
      bytes.whole(counter);
      bytes.u8(
        u8(holds.unit, hold) | (u8(holds.onExpiry, hold) << UNIT_BITS) | (holds.isListed(hold) ? LISTED : 0),
      );
      bytes.whole(f64(holds.amount, hold));
      bytes.whole(f64(holds.floor, hold));
      bytes.f64(f64(holds.expiry, hold));
      bytes.f64(f64(holds.mark, hold));
    }
    bytes.whole(NONE);
  }
}

/** @throws Error always: nobody said what keys are called */
function knowsNoKey(): void {
  throw new Error('a counter has a key of its own');
}

/** Reads chunks in their order into a state that has counted nothing. */
export class StateReader {
  readonly state = new LimitState();
  readonly #alias = new Int32Array(WORDS);
  readonly #id = new DecisionId();
  readonly #names = new KnownTexts();
  readonly #terms = blankTerms();

  /** @throws Error when the bytes are no chunk of a state */
  read(chunk: Uint8Array): void {
    const bytes = new ByteReader(chunk);
    const kind = bytes.u8();
    if (kind === HEAD) this.state.now = bytes.f64();
    else if (kind === COUNTERS) while (!bytes.done) this.#counter(bytes);
    else if (kind === DECISIONS) while (!bytes.done) this.#decision(bytes);
    else throw new Error(`chunks of kind ${kind} are unknown`);
  }

  #counter(bytes: ByteReader): void {
    const { counters, segments } = this.state;
    const counter = bytes.whole();
    const kind = bytes.u8();
    if (counter === NONE || counter >= MAX_COUNTERS || kind < WINDOW || kind > LEASES) {
      throw new Error('a counter has an unknown form');
    }
    const span = bytes.f64();
    const name = bytes.knownText(this.#names);
    const alias = this.#alias;
    bytes.words(alias);
    if (counters.findRestored(alias) !== NONE || counters.isTaken(counter)) {
      throw new Error(`counter ${counter} is there twice`);
    }
    counters.restore(counter, alias, name, { kind, span });
    counters.cap[counter] = bytes.whole();
    counters.used[counter] = bytes.whole();
    counters.mark[counter] = bytes.f64();
    if (kind === RATE) {
      counters.held[counter] = bytes.whole();
      counters.speed[counter] = bytes.whole();
      counters.entered[counter] = bytes.whole();
    }
    while (bytes.u8() === 1) append(counters, segments, counter, bytes.f64(), bytes.whole());
  }

  #decision(bytes: ByteReader): void {
    const { holds, decisions } = this.state;
    const id = this.#id.read(bytes);
    const state = bytes.u8();
    const isPast = bytes.u8() === 1;
    const until = bytes.f64();
    if ((state !== OPEN && state !== SETTLED) || decisions.findRead(id) !== NONE) {
      throw new Error('a decision has an unknown form');
    }
    const decision = decisions.openRead(id, isPast, until);
    decisions.state[decision] = state;
    let last = NONE;
    for (let counter = bytes.whole(); counter !== NONE; counter = bytes.whole()) {
      const hold = this.#hold(bytes, counter);
      if (last === NONE) decisions.firstHold[decision] = hold;
      else holds.sibling[last] = hold;
      last = hold;
    }
  }

  #hold(bytes: ByteReader, counter: number): number {
    const { counters, holds } = this.state;
    const terms = this.#terms;
    const detail = bytes.u8();
    terms.unit = detail & UNIT_MASK;
    terms.onExpiry = (detail >> UNIT_BITS) & EXPIRY_MASK;
    if (terms.unit >= UNITS || terms.onExpiry > RELEASE || !counters.isTaken(counter)) {
      throw new Error('a hold has an unknown form');
    }
    terms.amount = bytes.whole();
    terms.floor = bytes.whole();
    const hold = holds.open(counters, counter, terms, bytes.f64(), bytes.f64());
    if ((detail & LISTED) !== 0) holds.link(counters, hold);
    return hold;
  }
}
