/**
 * The policy worker: checks bundles and answers for cedar-wasm, off the main thread. One script for both uses;
 * main.ts starts it twice, so that a large push does not keep the oracle waiting. It runs at a lower priority, so that
 * neither a push nor an activation takes the time of decisions.
 */
import { setPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { OracleDesk } from './bundles/oracle-desk.ts';
import type { BuiltLayer } from './bundles/pipeline.ts';
import { serveThread } from './bundles/policy-thread.ts';
import type { TestCase, TestEntity } from './bundles/test-case.ts';
import type { CaseOutcome, TestRunner } from './bundles/test-runner.ts';
import { Workshop } from './bundles/workshop.ts';
import { Oracle } from './cedar/oracle.ts';
import type { CedarSchema } from './cedar/schema.ts';
import { CedarWasm } from './cedar/wasm.ts';
import { rebuild } from './directory/rebuild.ts';
import { type Clock, timestamp } from './domain/clock.ts';
import type { EntityRecord } from './domain/entity.ts';
import { AppError } from './domain/errors.ts';
import { LimitDesk, NO_GUARD } from './limits/desk.ts';
import { ActiveTenants } from './limits/charges/fair-shares.ts';
import { LimitTable } from './limits/counters/limit-table.ts';
import { LimitPlanner } from './limits/charges/planner.ts';
import { UsageTable } from './limits/charges/usage-history.ts';
import { type Evaluated, evaluateDecision } from './pdp/decide.ts';
import { entityParser } from './pdp/directory-schema.ts';
import { type Check, ModalEvaluator, type OraclePort, Quarantine, WasmOracle } from './pdp/evaluator.ts';
import { LimitStep } from './pdp/limit-step.ts';
import { checkPlanVocabulary } from './pdp/plan.ts';
import { type Snapshot, SnapshotHolder } from './pdp/snapshot.ts';
import { readRecordedAnswers } from './wiring/recorded-answers.ts';

/** Nice value of the thread: beside busy threads it gets a quarter of a core, so that an activation still ends in seconds. */
const NICENESS = 5;
/** `context.env` of test requests that name none: the default of the service's configuration. */
const TEST_ENV = 'production';
/** Id of the key of the gateway that asks in tests. */
const TEST_PEP = 'test';
/** Nothing is held in tests; the desk wants a time all the same. Milliseconds. */
const TEST_HOLD_MS = 60_000;
/** The directory of a test has one revision. */
const TEST_REVISION = 1;
/** Directories that are kept between cases: those of the files that cases share. */
const MAX_SNAPSHOTS = 16;

/** Decides test cases exactly as the service does, and asks cedar-wasm about every check. */
class SnapshotRunner implements TestRunner {
  readonly #schema: CedarSchema;
  readonly #layers: ReadonlyMap<BuiltLayer['name'], BuiltLayer>;
  readonly #oracle: OraclePort;
  readonly #limits: LimitStep;
  readonly #snapshots = new Map<readonly TestEntity[], Snapshot>();

  constructor(schema: CedarSchema, layers: readonly BuiltLayer[], oracle: OraclePort) {
    this.#schema = schema;
    this.#layers = new Map(layers.map(layer => [layer.name, layer]));
    this.#oracle = oracle;
    this.#limits = new LimitStep(uncountedLimits(), error => {
      throw error;
    });
  }

  async decide(testCase: TestCase): Promise<CaseOutcome> {
    const snapshot = await this.#snapshotOf(testCase.directory);
    const disagreements: string[] = [];
    const evaluator = new ModalEvaluator({
      mode: { evaluator: 'compiled', crossCheck: 'all' },
      oracle: this.#oracle,
      sampling: { sample: () => undefined },
      quarantine: new Quarantine(),
      onDisagreement: (check, compiled, oracle) =>
        disagreements.push(
          `${describe(check)}: compiled ${compiled.decision}, cedar-wasm ${oracle.ok ? oracle.decision : oracle.failure}`,
        ),
    });
    const inputs = { id: testCase.name, now: Date.parse(testCase.now), defaultEnv: TEST_ENV };
    const evaluated = evaluateDecision(snapshot, evaluator, { ...testCase.request, consume: false }, inputs);
    const { decision } = await this.#limit(evaluated, snapshot, inputs.now);
    const { code, message, policies } = decision.reason;
    const checks = Object.values(decision.levels).flatMap(level => level?.checks ?? []);
    const nearMisses = checks.flatMap(check =>
      check.nearMisses.map(miss => `${miss.policy}: ${miss.missing}`),
    );
    const limits = Object.fromEntries((decision.limits ?? []).map(({ name, limit }) => [name, limit]));
    return { decision: decision.decision, code, message, policies, nearMisses, disagreements, limits };
  }

  /** Limits as a first request meets them: nothing is counted, and nothing will be. */
  async #limit(evaluated: Evaluated, snapshot: Snapshot, now: number): Promise<Evaluated> {
    if (evaluated.decision.decision === 'deny') return evaluated;
    const limited = await this.#limits.charge(evaluated, { snapshot, pep: TEST_PEP, now });
    return limited.evaluated;
  }

  async #snapshotOf(directory: readonly TestEntity[]): Promise<Snapshot> {
    const known = this.#snapshots.get(directory);
    if (known !== undefined) return known;
    const records = directory.map(toRecord);
    const { graph, problems } = await rebuild([records], TEST_REVISION, entityParser(this.#schema), UNPACED);
    if (graph === undefined) {
      throw new AppError('ENTITY_INVALID', 'the directory of the test does not fit the schema', { problems });
    }
    const holder = new SnapshotHolder();
    holder.publish({ schema: this.#schema, layers: this.#layers }, graph);
    const snapshot = holder.current;
    if (snapshot === undefined) throw new Error('a published snapshot is missing');
    if (this.#snapshots.size >= MAX_SNAPSHOTS) this.#snapshots.clear();
    this.#snapshots.set(directory, snapshot);
    return snapshot;
  }
}

/** A desk over a store that stays empty. */
function uncountedLimits(): LimitDesk {
  const planning = new LimitPlanner({ history: new UsageTable(), activity: new ActiveTenants() });
  return new LimitDesk({ store: new LimitTable(), planning, guard: NO_GUARD, holdMs: TEST_HOLD_MS });
}

/** This thread has nobody to make room for, so its work is never paced and needs no clock. */
const UNPACED: Clock = { now: () => 0, monotonic: () => 0 };

function toRecord({ type, id, attributes, parents, tags, status }: TestEntity): EntityRecord {
  const updatedAt = timestamp(0);
  return { ref: { type, id }, attributes, parents, tags, status, revision: TEST_REVISION, updatedAt };
}

function describe({ request }: Check): string {
  return `${request.principal.key} ${request.action.key} ${request.resource.key}`;
}

if (parentPort === null) throw new Error('policy-worker.ts runs as a worker thread');
// On Linux, process id 0 means the calling thread alone; elsewhere it would slow down the whole process.
if (process.platform === 'linux') setPriority(0, NICENESS);
// Two instances of cedar-wasm: what is registered for tests never pushes out what the oracle keeps.
const testOracle = new WasmOracle();
const workshop = new Workshop({
  wasm: new CedarWasm(),
  recorded: readRecordedAnswers(),
  checkVocabulary: checkPlanVocabulary,
  runnerFor: (schema, layers) => new SnapshotRunner(schema, layers, testOracle),
});
const desk = new OracleDesk(() => new Oracle(new CedarWasm()));
serveThread(parentPort, { ...workshop.api, ...desk.api });
