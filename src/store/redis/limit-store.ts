/**
 * Limits counted in Redis or Valkey, for all servers together. Invariants: an admission is one script, so every charge
 * is checked and taken at one instant, which is Redis's own; the scripts do what src/limits/counters/limit-table.ts
 * does, which test/conformance/limit-store.ts proves of both.
 */
import type { LimitStanding, UnitAmounts } from '../../domain/limit.ts';
import { LIMIT_UNITS } from '../../domain/limit.ts';
import type {
  Admission,
  AdmissionRequest,
  Extension,
  Settlement,
  SettlementResult,
} from '../../limits/ports.ts';
import { type SharedLimitStore, StoreFailure } from '../../limits/failover/shared-store.ts';
import { AdmissionBatch, type DecisionKeys } from './admission-batch.ts';
import { LimitKeyNames } from './limit-keys.ts';
import { readScript, SCRIPT_NAMES, type ScriptName } from './limit-scripts.ts';
import type { LoadedScript, RedisConnection } from './redis-connection.ts';

/** Most admissions of one script, which nothing interrupts: some milliseconds of Redis. */
const MAX_BATCH = 32;
/** Most keys of one script: Lua spreads them over its stack, which has room for 8000. */
const MAX_BATCH_KEYS = 4_000;
/** How often a decision is read again that changed between two commands. */
const MAX_LOOKS = 3;
/** Numbers of one standing in an answer. */
const STANDING_LENGTH = 6;

export interface RedisLimitOptions {
  readonly connection: RedisConnection;
  /** Small letters, digits and hyphens. */
  readonly prefix: string;
  /** Who tells the time: Redis, or, in tests, each request. */
  readonly time: 'redis' | 'request';
}

/** An admission that waits for the end of the turn. */
interface Waiting {
  readonly request: AdmissionRequest;
  readonly resolve: (admission: Admission) => void;
  readonly reject: (error: unknown) => void;
}

export class RedisLimitStore implements SharedLimitStore {
  readonly #connection: RedisConnection;
  readonly #names: LimitKeyNames;
  readonly #timed: boolean;
  readonly #scripts = new Map<ScriptName, LoadedScript>();
  #waiting: Waiting[] = [];

  constructor({ connection, prefix, time }: RedisLimitOptions) {
    this.#connection = connection;
    this.#names = new LimitKeyNames(prefix);
    this.#timed = time === 'request';
  }

  async verify(): Promise<void> {
    await this.#connection.verify();
    for (const name of SCRIPT_NAMES) this.#scripts.set(name, await this.#connection.load(readScript(name)));
  }

  /** Admissions of one turn of the event loop go to Redis together. */
  admit(request: AdmissionRequest): Promise<Admission> {
    const { promise, resolve, reject } = Promise.withResolvers<Admission>();
    this.#waiting.push({ request, resolve, reject });
    if (this.#waiting.length === 1) setImmediate(() => this.#flush());
    return promise;
  }

  async settle({ decisionId, now, actual, atLeastFloor }: Settlement): Promise<SettlementResult> {
    const more = [atLeastFloor ? 1 : 0, amountsOf(actual)];
    const { keys, numbers } = await this.#runOnDecision('settle', decisionId, now, more);
    const [state, ...rest] = numbers;
    if (state !== DONE) {
      return { state: state === TOO_LATE ? 'repeated' : 'unknown', charges: [], journal: undefined };
    }
    const charges = [];
    for (let at = 0; at < rest.length; at += 4) {
      const [place = 0, reserved = 0, charged = 0, overdraft = 0] = rest.slice(at, at + 4);
      const [name] = keys[place - 1] ?? missing();
      charges.push({ name, reserved, charged, overdraft });
    }
    return { state: 'settled', charges, journal: undefined };
  }

  async extend(decisionId: string, now: number, holdMs: number): Promise<Extension> {
    const { numbers } = await this.#runOnDecision('extend', decisionId, now, [holdMs]);
    const [state, expiresAt = now] = numbers;
    const outcome = state === DONE ? 'extended' : state === TOO_LATE ? 'settled' : 'unknown';
    return { state: outcome, expiresAt, journal: undefined };
  }

  async reset(key: string, now: number): Promise<undefined> {
    const keys = [this.#names.clock, this.#names.counter(key), this.#names.holds(key)];
    await this.#run('reset', keys, [JSON.stringify([this.#instant(now)])]);
  }

  async merge(admissions: readonly AdmissionRequest[]): Promise<void> {
    const batch = new AdmissionBatch(this.#names, true);
    for (const admission of admissions) batch.add(admission);
    const present = Math.max(...admissions.map(({ now }) => now), 1);
    const { keys, args } = batch.encode(this.#instant(present));
    await this.#run('merge', keys, args);
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  #instant(now: number): number {
    return this.#timed ? now : 0;
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let batch = new AdmissionBatch(this.#names, this.#timed);
    let members: Waiting[] = [];
    for (const one of waiting) {
      try {
        batch.add(one.request);
      } catch (error) {
        one.reject(error);
        continue;
      }
      members.push(one);
      if (batch.size < MAX_BATCH && batch.keys < MAX_BATCH_KEYS) continue;
      void this.#send(batch, members);
      batch = new AdmissionBatch(this.#names, this.#timed);
      members = [];
    }
    if (members.length > 0) void this.#send(batch, members);
  }

  async #send(batch: AdmissionBatch, members: readonly Waiting[]): Promise<void> {
    try {
      const { keys, args } = batch.encode();
      const answers = await this.#run('admit', keys, args);
      if (!Array.isArray(answers)) throw badAnswer();
      members.forEach(({ request, resolve, reject }, at) => {
        const answer: unknown = answers[at];
        if (typeof answer === 'string') reject(new Error(answer));
        else resolve(admissionOf(request, numbersOf(answer)));
      });
    } catch (error) {
      for (const { reject } of members) reject(error);
    }
  }

  /** Runs a script on a decision and the keys that it was charged to. */
  async #runOnDecision(
    name: 'settle' | 'extend',
    decisionId: string,
    now: number,
    more: readonly unknown[],
  ): Promise<{ readonly keys: DecisionKeys; readonly numbers: readonly number[] }> {
    const decision = this.#names.decision(decisionId);
    for (let look = 0; look < MAX_LOOKS; look++) {
      const text = keysTextOf(await this.#connection.read(decision));
      const keys = decisionKeysOf(text);
      const names = [
        this.#names.clock,
        decision,
        ...keys.map(([, key]) => this.#names.counter(key)),
        ...keys.map(([, key]) => this.#names.holds(key)),
      ];
      const answer = await this.#run(name, names, [
        JSON.stringify([this.#instant(now), keys.length, ...more]),
        text,
      ]);
      const numbers = numbersOf(answer);
      if (numbers[0] !== CHANGED) return { keys, numbers };
    }
    throw new StoreFailure('a decision changes faster than it can be read');
  }

  #run(name: ScriptName, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const script = this.#scripts.get(name);
    if (script === undefined) throw new StoreFailure('there was no connection yet');
    return this.#connection.run(script, keys, args);
  }
}

/** States of decision.lua; what else there is, is unknown. */
const DONE = 1;
const TOO_LATE = 2;
const CHANGED = 3;

function amountsOf(actual: UnitAmounts): readonly number[] {
  const amounts = LIMIT_UNITS.map(unit => actual[unit]);
  if (amounts.every(amount => Number.isSafeInteger(amount) && amount >= 0)) return amounts;
  throw new Error('a settlement has an amount that is no amount');
}

function admissionOf({ charges }: AdmissionRequest, numbers: readonly number[]): Admission {
  if (numbers.length !== 1 + charges.length * STANDING_LENGTH) throw badAnswer();
  const standings: LimitStanding[] = [];
  for (let at = 1; at < numbers.length; at += STANDING_LENGTH) {
    const retryAfterMs = numbers[at + 5] ?? -1;
    standings.push({
      violated: numbers[at] === 1,
      used: numbers[at + 1] ?? 0,
      held: numbers[at + 2] ?? 0,
      remaining: numbers[at + 3] ?? 0,
      resetMs: numbers[at + 4] ?? 0,
      retryAfterMs: retryAfterMs < 0 ? null : retryAfterMs,
      degraded: false,
    });
  }
  return { admitted: numbers[0] === 1, standings, journal: undefined };
}

/** Numbers of an answer; those that are too large for an integer of the protocol are texts. */
function numbersOf(answer: unknown): readonly number[] {
  if (!Array.isArray(answer)) throw badAnswer();
  return answer.map((value: unknown) => {
    if (typeof value === 'number') return value;
    if (typeof value === 'string' && /^\d{1,20}$/.test(value)) return Number(value);
    throw badAnswer();
  });
}

/** The second line of a stored decision (state.lua); empty: there is none. */
function keysTextOf(stored: Buffer | null): string {
  if (stored === null) return '';
  const start = stored.indexOf('\n') + 1;
  return stored.toString('utf8', start, stored.indexOf('\n', start));
}

function decisionKeysOf(text: string): DecisionKeys {
  if (text === '') return [];
  const parsed: unknown = JSON.parse(text);
  if (Array.isArray(parsed) && parsed.every(isDecisionKey)) return parsed;
  throw badAnswer();
}

function isDecisionKey(value: unknown): value is readonly [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every(part => typeof part === 'string');
}

function badAnswer(): StoreFailure {
  return new StoreFailure('Redis answered what no script of ours answers');
}

function missing(): never {
  throw badAnswer();
}
