/**
 * What reporters say of the load of models: newest report of each source, until it expires. Invariants: memory is
 * bounded; a report never replaces one that was observed later; what has expired is not counted.
 */

/** Most models and groups with reports, and most sources (replicas) of one. */
export const MAX_LOAD_SUBJECTS = 10_000;
export const MAX_LOAD_SOURCES = 256;
/** Longest time for which a report counts, in milliseconds: a load of ten minutes ago says nothing. */
export const MAX_LOAD_TTL_MS = 600_000;
/** How far ahead of ours the clock of a reporter may be, in milliseconds. */
export const MAX_LOAD_SKEW_MS = 5_000;
/** Deepest queue that is told apart. */
export const MAX_QUEUE_DEPTH = 1_000_000;

/** One report. */
export interface LoadReport {
  /** Entity key of the model or group. */
  readonly subject: string;
  /** Which replica is meant. */
  readonly source: string;
  /** Key id of the reporter; a source belongs to the reporter that named it. */
  readonly reporter: string;
  /** 0 to 100; absent: not known. */
  readonly gpuPercent?: number | undefined;
  readonly kvCachePercent?: number | undefined;
  /** Calls that wait. */
  readonly queueDepth?: number | undefined;
  /** Milliseconds since the epoch, by the clock of the reporter. */
  readonly observedAt: number;
  /** For how long it counts from `observedAt`, in milliseconds. */
  readonly ttlMs: number;
}

/** `stale`: expired, or observed before the one that is known; `early`: observed in the future; `full`: too many. */
export type ReportOutcome = 'accepted' | 'stale' | 'early' | 'full';

/** The load of a model: means over its live sources, which share the calls. */
export interface Load {
  readonly subject: string;
  readonly sources: number;
  /** Percent; null: no live source said. */
  readonly gpuPercent: number | null;
  readonly kvCachePercent: number | null;
  /** Calls that wait, all sources together; null: no live source said. */
  readonly queueDepth: number | null;
  /** Sources that say how many wait. */
  readonly queues: number;
  /** When the newest report was observed, and when the last one expires, in milliseconds since the epoch. */
  readonly observedAt: number;
  readonly expiresAt: number;
}

type Sources = Map<string, LoadReport>;

export class LoadBoard {
  readonly #subjects = new Map<string, Sources>();

  /** @param now milliseconds since the epoch */
  report(report: LoadReport, now: number): ReportOutcome {
    const { observedAt, subject } = report;
    if (observedAt > now + MAX_LOAD_SKEW_MS) return 'early';
    if (endOf(report) <= now) return 'stale';
    const sources = this.#subjects.get(subject);
    const id = sourceId(report);
    const known = sources?.get(id);
    if (known !== undefined) {
      if (known.observedAt > observedAt) return 'stale';
    } else if (!this.#hasRoom(sources, now)) return 'full';
    if (sources === undefined) this.#subjects.set(subject, new Map([[id, report]]));
    else sources.set(id, report);
    return 'accepted';
  }

  /** Undefined when nothing that counts is known. */
  load(subject: string, now: number): Load | undefined {
    const sources = this.#subjects.get(subject);
    if (sources === undefined) return undefined;
    if (dropExpired(sources, now) === 0) {
      this.#subjects.delete(subject);
      return undefined;
    }
    return loadOf(subject, [...sources.values()]);
  }

  /** Of every model and group with reports, by entity key. */
  list(now: number): readonly Load[] {
    return [...this.#subjects.keys()].toSorted().flatMap(subject => this.load(subject, now) ?? []);
  }

  /** Models and groups with reports, expired ones included. */
  get size(): number {
    return this.#subjects.size;
  }

  #hasRoom(sources: Sources | undefined, now: number): boolean {
    if (sources !== undefined) {
      return sources.size < MAX_LOAD_SOURCES || dropExpired(sources, now) < MAX_LOAD_SOURCES;
    }
    if (this.#subjects.size < MAX_LOAD_SUBJECTS) return true;
    for (const [subject, all] of this.#subjects)
      if (dropExpired(all, now) === 0) this.#subjects.delete(subject);
    return this.#subjects.size < MAX_LOAD_SUBJECTS;
  }
}

/** A reporter cannot speak for the sources of another one. */
function sourceId({ reporter, source }: LoadReport): string {
  return JSON.stringify([reporter, source]);
}

function endOf({ observedAt, ttlMs }: LoadReport): number {
  return observedAt + ttlMs;
}

/** @returns how many are left */
function dropExpired(sources: Sources, now: number): number {
  for (const [id, report] of sources) if (endOf(report) <= now) sources.delete(id);
  return sources.size;
}

function loadOf(subject: string, reports: readonly LoadReport[]): Load {
  const queues = known(reports.map(({ queueDepth }) => queueDepth));
  return {
    subject,
    sources: reports.length,
    gpuPercent: mean(known(reports.map(({ gpuPercent }) => gpuPercent))),
    kvCachePercent: mean(known(reports.map(({ kvCachePercent }) => kvCachePercent))),
    queueDepth: queues.length === 0 ? null : sum(queues),
    queues: queues.length,
    observedAt: Math.max(...reports.map(({ observedAt }) => observedAt)),
    expiresAt: Math.max(...reports.map(endOf)),
  };
}

function known(values: readonly (number | undefined)[]): readonly number[] {
  return values.filter(value => value !== undefined);
}

/** Rounded up: a load between two numbers is taken for the higher one. */
function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : Math.ceil(sum(values) / values.length);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
