/**
 * What a verified log says of itself: that its clock went forward, that it was never silent while the service ran,
 * and that each shard continues the one before. Only entries that the tree covers are read here, so what is found
 * is what the service did, not what was done to its log.
 */
import { timestamp } from '../domain/clock.ts';
import { isJsonObject, type JsonObject } from '../domain/json.ts';
import type { FindingList } from './log-findings.ts';
import { leafTime } from './leaf-facts.ts';
import { parseLeaf } from './logged-leaf.ts';

/**
 * By how much an entry may be older than the one before it, in milliseconds. An entry has the time at which its
 * decision was made and the place at which it was written, and decisions are made side by side.
 */
export const MAX_DISORDER_MS = 2_000;
/** Longest time between two entries while the service runs, in milliseconds: a heartbeat a minute, and a half. */
export const MAX_SILENCE_MS = 90_000;
/** The same, as a multiple of the pace that heartbeats name when they are configured to come less often. */
const SILENT_PERIODS = 1.5;
/** Slowest pace of heartbeats that can be configured, in seconds: no entry can excuse more silence than that. */
const SLOWEST_PACE_SECONDS = 3_600;

/** Administrative events are repeated after a crash with the time of their change, so their times do not count. */
const OWN_EVENTS = /^(?:service|log)\./;

const decoder = new TextDecoder();

/** What the `log.seal` of a shard said. */
interface Seal {
  readonly index: number;
  readonly shard: string;
  readonly next: string;
}

export class ContentCheck {
  readonly #findings: FindingList;
  /** Time of the last entry whose time counts. */
  #time: number | undefined;
  #stopped = false;
  #started = false;
  /** Whether the log has heartbeats: entries of builds before them promise nothing about silence. */
  #beats = false;
  /** Longest silence that the heartbeats promise, in milliseconds. */
  #longest = MAX_SILENCE_MS;
  #seal: Seal | undefined;
  /** Index at which the current shard began, where that is known. */
  #shardStart: number | undefined;

  /** @param firstKept index of the first entry that will come */
  constructor(findings: FindingList, firstKept: number) {
    this.#findings = findings;
    this.#shardStart = firstKept === 0 ? 0 : undefined;
  }

  /**
   * The next entry. @param rootBefore tree head of all entries before it
   * @returns its content; undefined when it has none that can be read
   */
  check(index: number, bytes: Uint8Array, rootBefore: () => Uint8Array | undefined): JsonObject | undefined {
    let leaf: JsonObject;
    try {
      leaf = parseLeaf(decoder.decode(bytes));
    } catch {
      this.#findings.add('ENTRY_UNREADABLE', index, `entry ${index} is not a JSON object`);
      return undefined;
    }
    const kind = textOf(leaf, 'kind');
    if (kind === 'log.heartbeat') this.#longest = longestSilence(detailsOf(leaf)['everySeconds']);
    if (kind === 'decision' || OWN_EVENTS.test(kind)) this.#checkTime(index, leafTime(leaf), kind);
    if (kind === 'log.heartbeat') this.#beats = true;
    if (kind === 'service.stop') this.#stopped = true;
    if (kind === 'service.start') this.#start(index);
    if (kind === 'log.open') this.#open(index, detailsOf(leaf), rootBefore);
    else if (this.#seal !== undefined) this.#unopened(index, this.#seal);
    if (kind === 'log.seal') this.#close(index, detailsOf(leaf));
    return leaf;
  }

  #checkTime(index: number, time: number, kind: string): void {
    const before = this.#time;
    this.#time = time;
    if (before === undefined) return;
    if (time < before - MAX_DISORDER_MS) {
      this.#findings.add(
        'TIME_BACKWARDS',
        index,
        `entry ${index} is ${seconds(before - time)} older than an entry before it: ` +
          `${stamp(time)} after ${stamp(before)}`,
      );
      return;
    }
    // the entries that open a shard may stand between the stop and the start
    const excused = this.#stopped && (kind === 'service.start' || kind.startsWith('log.'));
    if (this.#beats && !excused && time - before > this.#longest) {
      this.#findings.add(
        'SILENCE',
        index,
        `nothing was logged for ${seconds(time - before)} before entry ${index}, ` +
          `and no stop of the service explains it: ${stamp(before)} to ${stamp(time)}`,
      );
    }
  }

  #start(index: number): void {
    if (this.#started && !this.#stopped) {
      this.#findings.add(
        'UNCLEAN_RESTART',
        index,
        `the service started at entry ${index} without having stopped: it crashed or was killed`,
      );
    }
    this.#started = true;
    this.#stopped = false;
  }

  #close(index: number, details: JsonObject): void {
    const shard = textOf(details, 'shard');
    const { size, entries } = details;
    const start = this.#shardStart;
    if (size !== index + 1) {
      this.#broken(index, `the seal of shard \`${shard}\` names ${text(size)} entries of the log`);
    } else if (start !== undefined && entries !== index + 1 - start) {
      this.#broken(
        index,
        `the seal of shard \`${shard}\` names ${text(entries)} entries of it; it has ${index + 1 - start}`,
      );
    }
    this.#seal = { index, shard, next: textOf(details, 'next') };
  }

  #open(index: number, details: JsonObject, rootBefore: () => Uint8Array | undefined): void {
    const seal = this.#seal;
    this.#seal = undefined;
    this.#shardStart = index;
    // the first entry of a log continues nothing; it may say which log it replaces
    if (index === 0) return;
    const shard = textOf(details, 'shard');
    const previous = isJsonObject(details['previous']) ? details['previous'] : {};
    if (seal !== undefined && (seal.next !== shard || seal.shard !== textOf(previous, 'shard'))) {
      this.#broken(
        index,
        `shard \`${shard}\` continues \`${textOf(previous, 'shard')}\`; ` +
          `entry ${seal.index} sealed \`${seal.shard}\` in favour of \`${seal.next}\``,
      );
    }
    if (previous['size'] !== index) {
      this.#broken(index, `shard \`${shard}\` says that ${text(previous['size'])} entries are before it`);
    }
    const root = rootBefore();
    if (root !== undefined && textOf(previous, 'root') !== Buffer.from(root).toString('base64')) {
      this.#broken(index, `shard \`${shard}\` continues a log with another root`);
    }
  }

  #unopened(index: number, seal: Seal): void {
    this.#seal = undefined;
    this.#broken(index, `entry ${seal.index} sealed shard \`${seal.shard}\`, and entry ${index} opens none`);
  }

  #broken(index: number, message: string): void {
    this.#findings.add('SHARD_LINK_BROKEN', index, message);
  }
}

/** @param pace seconds between heartbeats, as they say */
function longestSilence(pace: unknown): number {
  if (typeof pace !== 'number' || !(pace > 0 && pace <= SLOWEST_PACE_SECONDS)) return MAX_SILENCE_MS;
  return Math.max(MAX_SILENCE_MS, pace * 1000 * SILENT_PERIODS);
}

function detailsOf(leaf: JsonObject): JsonObject {
  const { details } = leaf;
  return isJsonObject(details) ? details : {};
}

function textOf(object: JsonObject, key: string): string {
  const value = object[key];
  return typeof value === 'string' ? value : '';
}

function text(value: unknown): string {
  return typeof value === 'number' ? String(value) : 'no number of';
}

function seconds(milliseconds: number): string {
  return `${Math.round(milliseconds / 100) / 10} s`;
}

function stamp(time: number): string {
  return Number.isSafeInteger(time) && Math.abs(time) <= 8.64e15 ? timestamp(time) : String(time);
}
