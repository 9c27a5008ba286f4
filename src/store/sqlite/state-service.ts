/** The state store's side in the worker: state.db and subjects.db, all their tables behind `StateApi`. */
import { MAX_ANSWERS } from '../../identity/ports.ts';
import type { Service } from './rpc.ts';
import { AgeTable } from './state-age.ts';
import type { StateApi } from './state-api.ts';
import { BundleTables } from './state-bundles.ts';
import { CallerKeyTables } from './state-caller-keys.ts';
import { StateDatabase, type StateFolder } from './state-database.ts';
import { DirectoryTables } from './state-directory.ts';
import { ErasureTable } from './state-erasure.ts';
import { AnswerTable } from './state-idempotency.ts';
import { KeyTable } from './state-keys.ts';
import { OutboxTable } from './state-outbox.ts';
import { PenaltyTable } from './state-penalties.ts';
import { ProfileTable } from './state-pep-profiles.ts';
import { RevocationTable } from './state-revocations.ts';
import { SubjectTables } from './state-subjects.ts';

/** Opens both databases. @throws AppError STORE_UNAVAILABLE with what to do about it */
export function openStateService(folder: StateFolder): Service<StateApi> {
  const state = StateDatabase.open(folder);
  try {
    return serviceOf(state, StateDatabase.openSubjects(folder), folder);
  } catch (error) {
    state.close();
    throw error;
  }
}

function serviceOf(
  state: StateDatabase,
  subjectsFile: StateDatabase,
  { maxAnswers = MAX_ANSWERS }: StateFolder,
): Service<StateApi> {
  const outbox = new OutboxTable(state, new AgeTable(state));
  const directory = new DirectoryTables(state, outbox);
  const bundles = new BundleTables(state, outbox);
  const revocations = new RevocationTable(state, outbox);
  const profiles = new ProfileTable(state, outbox);
  const penalties = new PenaltyTable(state, outbox);
  const answers = new AnswerTable(state, maxAnswers);
  const subjects = new SubjectTables(subjectsFile);
  const erasures = new ErasureTable({ state, subjectsFile, subjects, outbox, answers });
  erasures.finish();
  return {
    close() {
      subjectsFile.close();
      state.close();
    },
    api: {
      newerMigrations: () => [...state.newerMigrations, ...subjectsFile.newerMigrations],

      directoryRevision: () => directory.revision(),
      directoryBegin: () => directory.begin(),
      directoryStage: (id, chunk) => directory.stage(id, chunk),
      directoryCommit: (id, at, event) => directory.commit(id, at, event),
      directoryRollback: id => directory.rollback(id),
      directoryLoad: after => directory.load(after),
      directoryLoadAt: (revision, after) => directory.loadAt(revision, after),
      directoryAt: (name, revision) => directory.at(name, revision),

      bundlePut: (bundle, event) => bundles.put(bundle, event),
      bundleGet: digest => bundles.get(digest),
      bundleList: (layer, limit, below) => bundles.list(layer, limit, below),
      bundleActivate: (request, event) => bundles.activate(request, event),
      bundleActive: () => bundles.active(),
      bundleHistory: (layer, limit, below) => bundles.history(layer, limit, below),

      ...keyCalls(new KeyTable(state, outbox), new CallerKeyTables(state, outbox)),

      revocationList: () => revocations.list(),
      revocationAdd: (revocation, event) => revocations.add(revocation, event),

      profilesLoad: () => profiles.load(),
      profilesWrite: (change, event) => profiles.write(change, event),

      penaltyList: () => penalties.list(),
      penaltySave: (penalty, endedBefore, event) => penalties.save(penalty, endedBefore, event),
      penaltyRemove: (kind, id, event) => penalties.remove(kind, id, event),
      ...outboxCalls(outbox),
      ...ageCalls(outbox, subjects),
      ...subjectCalls(subjects, erasures),

      answerFind: (credential, key) => answers.find(credential, key),
      answerSave: (credential, key, answer, now) => answers.save(credential, key, answer, now),
    },
  };
}

function outboxCalls(outbox: OutboxTable): Pick<StateApi, 'outboxPending' | 'outboxAcknowledge'> {
  return {
    outboxPending: limit => outbox.pending(limit),
    outboxAcknowledge: ids => outbox.acknowledge(ids),
  };
}

type AgeCalls = Pick<StateApi, 'ages' | 'ageAdopt' | 'erasuresDue' | 'erasuresRepeated'>;

function ageCalls(outbox: OutboxTable, subjects: SubjectTables): AgeCalls {
  const ages = { state: outbox.age, subjects: subjects.age };
  return {
    ages: () => ({ state: ages.state.read(), subjects: ages.subjects.read() }),
    ageAdopt: (store, log, seen) => ages[store].adopt(log, seen),
    erasuresDue: () => subjects.erasuresDue(),
    erasuresRepeated: () => subjects.erasuresRepeated(),
  };
}

type SubjectCalls = Pick<
  StateApi,
  | 'subjectsLoad'
  | 'subjectsAdd'
  | 'subjectsMonthKeys'
  | 'subjectsAddMonthKeys'
  | 'subjectsDropMonthKeys'
  | 'subjectsReplaceNameKeys'
  | 'subjectsErase'
>;

function subjectCalls(subjects: SubjectTables, erasures: ErasureTable): SubjectCalls {
  return {
    subjectsLoad: after => subjects.load(after),
    subjectsAdd: (chunk, at) => subjects.add(chunk, at),
    subjectsMonthKeys: () => subjects.monthKeys(),
    subjectsAddMonthKeys: (months, at) => subjects.addMonthKeys(months, at),
    subjectsDropMonthKeys: before => subjects.dropMonthKeys(before),
    subjectsReplaceNameKeys: keys => erasures.replaceNameKeys(keys),
    subjectsErase: (erasure, event) => erasures.erase(erasure, event),
  };
}

type KeyCalls = Pick<
  StateApi,
  | 'keyList'
  | 'keyCreate'
  | 'keyRevoke'
  | 'callerKeysLoad'
  | 'callerKeysCommit'
  | 'callerKeysRecordUses'
  | 'callerKeysRemove'
>;

function keyCalls(keys: KeyTable, callerKeys: CallerKeyTables): KeyCalls {
  return {
    keyList: () => keys.list(),
    keyCreate: (key, event) => keys.create(key, event),
    keyRevoke: (id, at, event) => keys.revoke(id, at, event),

    callerKeysLoad: after => callerKeys.load(after),
    callerKeysCommit: (change, events) => callerKeys.commit(change, events),
    callerKeysRecordUses: uses => callerKeys.recordUses(uses),
    callerKeysRemove: ids => callerKeys.remove(ids),
  };
}
