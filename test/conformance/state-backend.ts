/** What the conformance suites of the state ports run on, and the values that they write. */
import type { BundleStore } from '../../src/bundles/ports.ts';
import type { Outbox, SubjectStore } from '../../src/decision-log/ports.ts';
import type { DirectoryStore, EntityWrite } from '../../src/directory/ports.ts';
import type { EntityBody, EntityRecord } from '../../src/domain/entity.ts';
import type { EventEntry, EventKind } from '../../src/domain/log-entry.ts';
import type { CallerKeyStore } from '../../src/identity/caller-keys/ports.ts';
import type { ProfileStore } from '../../src/identity/pep-profiles/ports.ts';
import type { PenaltyStore } from '../../src/limits/guards/penalty-store.ts';
import type { IdempotencyStore, KeyStore, RevocationStore } from '../../src/identity/ports.ts';

/** All ports over one state. */
export interface StatePorts {
  readonly directory: DirectoryStore;
  readonly bundles: BundleStore;
  readonly keys: KeyStore;
  readonly callerKeys: CallerKeyStore;
  readonly profiles: ProfileStore;
  readonly penalties: PenaltyStore;
  readonly revocations: RevocationStore;
  readonly outbox: Outbox;
  readonly idempotency: IdempotencyStore;
  readonly subjects: SubjectStore;
}

/** One opened, empty state. */
export interface OpenState extends StatePorts {
  close(): Promise<void>;
}

/** A backend under test. */
export interface StateBackend {
  readonly name: string;
  /** @param maxAnswers most answers by Idempotency-Key; absent: the default */
  open(maxAnswers?: number): Promise<OpenState>;
}

export const AT = '2026-01-02T03:04:05.678Z';

export function event(id: string, kind: EventKind = 'entity.put'): EventEntry {
  return { kind, id, time: 1_767_323_045_678, actor: 'k1', tenant: 'acme', subject: id, details: { n: 1 } };
}

export function body(attributes: EntityBody['attributes'] = {}, parents: readonly string[] = []): EntityBody {
  return {
    attributes,
    parents: parents.map(id => ({ type: 'Team', id })),
    tags: { colour: 'blue' },
    status: 'active',
  };
}

export function put(id: string, state: EntityBody = body()): EntityWrite {
  return { ref: { type: 'User', id }, body: state };
}

export function remove(id: string): EntityWrite {
  return { ref: { type: 'User', id }, body: null };
}

/** Commits writes as one revision. */
export async function commit(
  { directory }: StatePorts,
  writes: readonly EntityWrite[],
  id: string,
): Promise<number> {
  const tx = await directory.begin();
  await tx.write(writes);
  return tx.commit(AT, event(id));
}

/** Everything that an iterable of chunks yields, by id. */
export async function collect(
  chunks: AsyncIterable<readonly EntityRecord[]>,
): Promise<ReadonlyMap<string, EntityRecord>> {
  const records = new Map<string, EntityRecord>();
  for await (const chunk of chunks) for (const record of chunk) records.set(record.ref.id, record);
  return records;
}

/** More events than any test makes, one whose child runs on until its kill arrives included. */
export const ALL_EVENTS = 1_000_000;

export async function pendingIds({ outbox }: StatePorts): Promise<readonly string[]> {
  return (await outbox.pending(ALL_EVENTS)).map(({ id }) => id);
}
