/** The calls that cross from the main thread to the state worker, typed once for both sides. */
import type { ActivationRequest } from '../../bundles/ports.ts';
import type { ErasedTraces, Erasure, MonthKey, MonthKeys, SubjectChunk } from '../../decision-log/ports.ts';
import type { StoreAge, StoreName } from '../../decision-log/store-ages.ts';
import type { Activation, StoredBundle } from '../../domain/bundle.ts';
import type { CallerKeyUse } from '../../domain/caller-key.ts';
import type { ApiKey } from '../../domain/credential.ts';
import type { LayerName } from '../../domain/ids.ts';
import type { EventEntry } from '../../domain/log-entry.ts';
import type { CallerKeyChange } from '../../identity/caller-keys/ports.ts';
import type { Penalty, PenaltyKind } from '../../limits/guards/penalties.ts';
import type { ProfileChange } from '../../identity/pep-profiles/ports.ts';
import type { Revocation, StoredAnswer } from '../../identity/ports.ts';
import type { BundlePage } from './state-bundles.ts';
import type { LoadedCallerKeys } from './state-caller-keys.ts';
import type { LoadedChunk, StagedChunk } from './state-directory.ts';
import type { PenaltyRow } from './state-penalties.ts';
import type { LoadedProfiles } from './state-pep-profiles.ts';
import type { LoadedSubjects } from './state-subjects.ts';

export interface StateApi {
  newerMigrations(): readonly string[];

  directoryRevision(): number;
  directoryBegin(): number;
  directoryStage(id: number, chunk: StagedChunk): void;
  directoryCommit(id: number, at: string, event: EventEntry): number;
  directoryRollback(id: number): void;
  directoryLoad(after: string): LoadedChunk;
  directoryLoadAt(revision: number, after: string): LoadedChunk;
  directoryAt(name: string, revision: number): LoadedChunk;

  bundlePut(bundle: StoredBundle, event: EventEntry): boolean;
  bundleGet(digest: string): StoredBundle | undefined;
  bundleList(layer: LayerName | undefined, limit: number, below: number): BundlePage;
  bundleActivate(request: ActivationRequest, event: EventEntry): Activation;
  bundleActive(): readonly Activation[];
  bundleHistory(layer: LayerName, limit: number, below: number): readonly Activation[];

  keyList(): readonly ApiKey[];
  keyCreate(key: ApiKey, event: EventEntry): void;
  keyRevoke(id: string, at: string, event: EventEntry): boolean;

  callerKeysLoad(after: number): LoadedCallerKeys;
  callerKeysCommit(change: CallerKeyChange, events: readonly EventEntry[]): void;
  callerKeysRecordUses(uses: readonly CallerKeyUse[]): void;
  callerKeysRemove(ids: readonly string[]): void;

  revocationList(): readonly Revocation[];
  revocationAdd(revocation: Revocation, event: EventEntry): void;

  profilesLoad(): LoadedProfiles;
  profilesWrite(change: ProfileChange, event: EventEntry): void;

  penaltyList(): readonly PenaltyRow[];
  penaltySave(penalty: Penalty, endedBefore: number, event: EventEntry): void;
  penaltyRemove(kind: PenaltyKind, id: string, event: EventEntry): void;

  outboxPending(limit: number): readonly EventEntry[];
  outboxAcknowledge(ids: readonly string[]): void;

  ages(): Readonly<Record<StoreName, StoreAge>>;
  ageAdopt(store: StoreName, log: string, seen: number): void;
  erasuresDue(): boolean;
  erasuresRepeated(): void;

  subjectsLoad(after: string): LoadedSubjects;
  subjectsAdd(subjects: SubjectChunk, at: number): SubjectChunk;
  subjectsMonthKeys(): MonthKeys;
  subjectsAddMonthKeys(keys: MonthKeys, at: number): MonthKeys;
  subjectsDropMonthKeys(before: string): number;
  subjectsReplaceNameKeys(keys: readonly MonthKey[]): void;
  subjectsErase(erasure: Erasure, event: EventEntry): ErasedTraces;

  answerFind(credential: string, key: string): StoredAnswer | undefined;
  answerSave(credential: string, key: string, answer: StoredAnswer, now: number): void;
}
