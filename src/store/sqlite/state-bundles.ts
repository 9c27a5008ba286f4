/**
 * The bundles' tables. Invariants: a stored bundle never changes; the activations of a layer are numbered
 * without gaps, and two writers cannot both replace the same active bundle.
 */
import type { Statement } from 'better-sqlite3';
import type { ActivationRequest } from '../../bundles/ports.ts';
import { activationConflict } from '../../bundles/activation-conflict.ts';
import {
  type Activation,
  type BundleReport,
  type BundleSummary,
  digestSchema,
  manifestSchema,
  type StoredBundle,
} from '../../domain/bundle.ts';
import { AppError } from '../../domain/errors.ts';
import { type LayerName, layerNameSchema } from '../../domain/ids.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { StateDatabase } from './state-database.ts';
import type { OutboxTable } from './state-outbox.ts';
import { isObject, isStringRecord, parseStored } from './stored-json.ts';

interface SummaryRow {
  readonly sequence: number;
  readonly digest: string;
  readonly manifest: string;
  readonly report: string;
  readonly pushed_by: string;
  readonly pushed_at: string;
}

interface BundleRow extends SummaryRow {
  readonly files: string;
  readonly archive: Buffer;
}

interface ActivationRow {
  readonly layer: string;
  readonly sequence: number;
  readonly digest: string;
  readonly previous: string | null;
  readonly actor: string;
  readonly reason: string;
  readonly kind: 'activate' | 'rollback';
  readonly at: string;
}

/** A page of summaries, newest first; `next` is the sequence to go on below. */
export interface BundlePage {
  readonly items: readonly BundleSummary[];
  readonly next: number | undefined;
}

const SUMMARY = 'sequence, digest, manifest, report, pushed_by, pushed_at';

/** Tables `bundle` and `activation`. */
export class BundleTables {
  readonly #state: StateDatabase;
  readonly #outbox: OutboxTable;
  readonly #insert: Statement<[string, string, string, string, string, string, string, Uint8Array]>;
  readonly #find: Statement<[string], BundleRow>;
  readonly #page: Statement<[number, number], SummaryRow>;
  readonly #layerPage: Statement<[string, number, number], SummaryRow>;
  readonly #latest: Statement<[string], ActivationRow>;
  readonly #activate: Statement<ActivationRow>;
  readonly #active: Statement<[], ActivationRow>;
  readonly #history: Statement<[string, number, number], ActivationRow>;

  constructor(state: StateDatabase, outbox: OutboxTable) {
    const { db } = state;
    this.#state = state;
    this.#outbox = outbox;
    this.#insert = db.prepare(
      `INSERT INTO bundle (digest, layer, manifest, report, pushed_by, pushed_at, files, archive)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (digest) DO NOTHING`,
    );
    this.#find = db.prepare(`SELECT ${SUMMARY}, files, archive FROM bundle WHERE digest = ?`);
    this.#page = db.prepare(
      `SELECT ${SUMMARY} FROM bundle WHERE sequence < ? ORDER BY sequence DESC LIMIT ?`,
    );
    this.#layerPage = db.prepare(
      `SELECT ${SUMMARY} FROM bundle WHERE layer = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?`,
    );
    this.#latest = db.prepare('SELECT * FROM activation WHERE layer = ? ORDER BY sequence DESC LIMIT 1');
    this.#activate = db.prepare(
      `INSERT INTO activation (layer, sequence, digest, previous, actor, reason, kind, at)
       VALUES (@layer, @sequence, @digest, @previous, @actor, @reason, @kind, @at)`,
    );
    this.#active = db.prepare(
      `SELECT * FROM activation JOIN (SELECT layer, max(sequence) AS sequence FROM activation GROUP BY layer)
        USING (layer, sequence) ORDER BY layer`,
    );
    this.#history = db.prepare(
      'SELECT * FROM activation WHERE layer = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?',
    );
  }

  put(bundle: StoredBundle, event: EventEntry): boolean {
    const { digest, manifest, files, archive, report, pushedBy, pushedAt } = bundle;
    return this.#state.write(() => {
      const { changes } = this.#insert.run(
        digest,
        manifest.layer,
        JSON.stringify(manifest),
        JSON.stringify(report),
        pushedBy,
        pushedAt,
        JSON.stringify(files),
        archive,
      );
      if (changes > 0) this.#outbox.add(event);
      return changes > 0;
    });
  }

  get(digest: string): StoredBundle | undefined {
    return this.#state.read(() => {
      const row = this.#find.get(digest);
      if (row === undefined) return undefined;
      const files = parseStored(row.files, isStringRecord, `the files of bundle \`${digest}\``);
      return { ...toSummary(row), files, archive: row.archive };
    });
  }

  list(layer: LayerName | undefined, limit: number, below: number): BundlePage {
    return this.#state.read(() => {
      const rows =
        layer === undefined ? this.#page.all(below, limit + 1) : this.#layerPage.all(layer, below, limit + 1);
      const page = rows.slice(0, limit);
      return { items: page.map(toSummary), next: rows.length > limit ? page.at(-1)?.sequence : undefined };
    });
  }

  activate(request: ActivationRequest, event: EventEntry): Activation {
    const { layer, digest, expectedActive, actor, reason, kind, at } = request;
    return this.#state.write(() => {
      const latest = this.#latest.get(layer);
      const previous = latest?.digest ?? null;
      if (expectedActive !== undefined && expectedActive !== previous)
        throw activationConflict(layer, previous);
      if (this.#find.get(digest) === undefined) {
        throw new AppError('NOT_FOUND', `there is no bundle \`${digest}\``);
      }
      const row = { layer, sequence: (latest?.sequence ?? 0) + 1, digest, previous, actor, reason, kind, at };
      this.#activate.run(row);
      this.#outbox.add(event);
      return toActivation(row);
    });
  }

  active(): readonly Activation[] {
    return this.#state.read(() => this.#active.all().map(toActivation));
  }

  history(layer: LayerName, limit: number, below: number): readonly Activation[] {
    return this.#state.read(() => this.#history.all(layer, below, limit).map(toActivation));
  }
}

function toSummary(row: SummaryRow): BundleSummary {
  const what = `bundle \`${row.digest}\``;
  return {
    digest: digestSchema.parse(row.digest),
    manifest: manifestSchema.parse(parseStored(row.manifest, isObject, `the manifest of ${what}`)),
    report: parseStored(row.report, isReport, `the report of ${what}`),
    pushedBy: row.pushed_by,
    pushedAt: row.pushed_at,
  };
}

function toActivation(row: ActivationRow): Activation {
  return {
    layer: layerNameSchema.parse(row.layer),
    sequence: row.sequence,
    digest: digestSchema.parse(row.digest),
    previous: row.previous === null ? null : digestSchema.parse(row.previous),
    actor: row.actor,
    reason: row.reason,
    kind: row.kind,
    at: row.at,
  };
}

function isReport(value: unknown): value is BundleReport {
  return (
    isObject(value) &&
    typeof value['policies'] === 'number' &&
    isObject(value['tests']) &&
    Array.isArray(value['warnings'])
  );
}
