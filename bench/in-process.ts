/** The benchmark without HTTP and log: how long a three-level decision takes as policies grow, and against cedar-wasm. */
import { readFileSync } from 'node:fs';
import { compilePolicy } from '../src/cedar/compile.ts';
import { Oracle } from '../src/cedar/oracle.ts';
import { PolicyIndexBuilder } from '../src/cedar/policy-index.ts';
import { parseSchema } from '../src/cedar/schema-parse.ts';
import type { CedarSchema } from '../src/cedar/schema.ts';
import { checkPolicies } from '../src/cedar/validate.ts';
import { CedarWasm } from '../src/cedar/wasm.ts';
import { DirectoryGraph } from '../src/directory/graph.ts';
import { GraphEditor } from '../src/directory/graph-editor.ts';
import { ownerOf } from '../src/directory/tenancy.ts';
import { type DecisionRequest, decisionRequestSchema } from '../src/domain/decision-request.ts';
import type { Digest } from '../src/domain/bundle.ts';
import type { LayerName } from '../src/domain/ids.ts';
import { evaluateDecision } from '../src/pdp/decide.ts';
import { entityParser } from '../src/pdp/directory-schema.ts';
import { type CheckEvaluator, ModalEvaluator, Quarantine, WasmOracle } from '../src/pdp/evaluator.ts';
import { qualify } from '../src/pdp/plan.ts';
import { type CompiledLayer, type Snapshot, SnapshotHolder } from '../src/pdp/snapshot.ts';
import { median } from './median.ts';
import { platformBundle } from './setup.ts';
import { entities, requests, TEAMS, tenantName, tenantPolicies, type WorldSize } from './world.ts';

export interface InProcessFigures {
  /** Median microseconds of a three-level decision by number of policies. */
  readonly microseconds: Readonly<Record<string, number>>;
  /** Time at 10,000 policies over time at 10. */
  readonly growth: number;
  /** cedar-wasm over the whole set, three calls, at 1,000 policies: microseconds. */
  readonly wasmMicroseconds: number;
  /** wasm / compiled at 1,000 policies. */
  readonly speedup: number;
}

const SAMPLE = 2_000;
const ROUNDS = 25;
const WARM_UP = 8;

/**
 * Two questions. Growth: one tenant with 10 policies, and the same with 9,990 more that match nobody who asks;
 * directory and requests are the same. Speed: 1,000 policies over 50 tenants, beside cedar-wasm.
 */
export function benchInProcess(say: (line: string) => void): InProcessFigures {
  const wasm = new CedarWasm();
  const schema = readSchema(wasm);
  const base = { principals: 20_000, models: 2_000 };
  const world = (size: WorldSize) => ({
    policies: size.policies,
    snapshot: buildSnapshot(wasm, schema, size),
    asked: parseRequests(size).filter(request => isInFirstTeams(request, size)),
  });
  const thousand = world({ ...base, tenants: 50, policies: 1_000 });
  const worlds = [
    world({ ...base, tenants: 1, policies: 10 }),
    thousand,
    world({ ...base, tenants: 1, policies: 10_000 }),
  ];
  const evaluator = compiledEvaluator();
  const timings = new Map<number, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const { policies, snapshot, asked } of worlds) {
      const times = timings.get(policies) ?? [];
      timings.set(policies, times);
      times.push(timeDecisions(snapshot, evaluator, asked));
    }
  }
  const microseconds: Record<string, number> = {};
  // the first rounds warm the JIT up
  for (const [policies, times] of timings) microseconds[policies] = median(times.slice(WARM_UP));
  for (const [policies, time] of Object.entries(microseconds))
    say(`${policies} policies: ${time.toFixed(2)} µs`);
  const wasmMicroseconds = timeOracle(wasm, thousand.snapshot, thousand.asked);
  say(`cedar-wasm, three calls over 1,000 policies: ${wasmMicroseconds.toFixed(0)} µs`);
  return {
    microseconds,
    growth: (microseconds[10_000] ?? Number.NaN) / (microseconds[10] ?? Number.NaN),
    wasmMicroseconds,
    speedup: wasmMicroseconds / (microseconds[1_000] ?? Number.NaN),
  };
}

/** Teams that have a policy already when a tenant has ten: the askers for whom more policies change nothing. */
function isInFirstTeams(request: DecisionRequest, size: WorldSize): boolean {
  const position = Number(request.principal.id.split('/u')[1]);
  return size.tenants > 1 || position % TEAMS < 9;
}

function timeDecisions(
  snapshot: Snapshot,
  evaluator: CheckEvaluator,
  asked: readonly DecisionRequest[],
): number {
  const startedAt = performance.now();
  let now = 1_773_144_000_000;
  for (const request of asked) {
    evaluateDecision(snapshot, evaluator, request, { id: 'bench', now: now++, defaultEnv: 'production' });
  }
  return ((performance.now() - startedAt) * 1000) / asked.length;
}

/** Three checks as one question over all layers: what a PDP without layers and index would ask cedar-wasm. */
function timeOracle(wasm: CedarWasm, snapshot: Snapshot, asked: readonly DecisionRequest[]): number {
  const oracle = new Oracle(wasm);
  const layers = [...snapshot.layers.values()].map(layer => ({
    digest: layer.digest,
    policies: layer.sources,
  }));
  const contexts: CheckEvaluator = {
    evaluate: ({ request }) => {
      oracle.authorize({ layers, schema: snapshot.schema, request });
      return { ok: true, answer: { decision: 'deny', determining: [], erroring: [] }, engine: 'wasm' };
    },
  };
  const few = asked.slice(0, 60);
  timeDecisions(snapshot, contexts, few.slice(0, 5));
  return timeDecisions(snapshot, contexts, few);
}

export function compiledEvaluator(): CheckEvaluator {
  return new ModalEvaluator({
    mode: { evaluator: 'compiled', crossCheck: 'off' },
    oracle: new WasmOracle(),
    sampling: { sample: () => {} },
    quarantine: new Quarantine(),
    onDisagreement: () => {},
  });
}

function parseRequests(size: WorldSize): DecisionRequest[] {
  return requests(size, SAMPLE, 11).map(body => decisionRequestSchema.parse(JSON.parse(body)));
}

export function readSchema(wasm: CedarWasm): CedarSchema {
  const text = readFileSync(new URL('../schema/model-serving.cedarschema', import.meta.url), 'utf8');
  const result = parseSchema(text, wasm);
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return result.schema;
}

export function buildSnapshot(wasm: CedarWasm, schema: CedarSchema, size: WorldSize): Snapshot {
  const layers = new Map<LayerName, CompiledLayer>();
  const platform = Object.entries(platformBundle().files).map(([path, text]) => ({ path, text }));
  layers.set('platform', compileLayer(wasm, schema, 'platform', platform));
  for (let t = 0; t < size.tenants; t++) {
    const tenant = tenantName(t);
    const text = tenantPolicies(tenant, Math.floor(size.policies / size.tenants)).join('\n\n');
    const name: LayerName = `tenant:${tenant}`;
    layers.set(name, compileLayer(wasm, schema, name, [{ path: 'policies/grants.cedar', text }]));
  }
  const editor = new GraphEditor(DirectoryGraph.empty());
  const parser = entityParser(schema);
  for (const { type, id, attributes, parents } of entities(size)) {
    const parsed = parser.parse(
      { type, id },
      { attributes, parents: [...parents], tags: {}, status: 'active' },
    );
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    editor.put({
      uid: qualify(type, id),
      attributes: parsed.attributes,
      tags: parsed.tags,
      parents,
      status: 'active',
      revision: 1,
      updatedAt: '2026-01-01T00:00:00.000Z',
      tenant: ownerOf({ type, id }, parsed.attributes),
      json: '{}',
    });
  }
  for (const _ of editor.settle());
  const holder = new SnapshotHolder();
  holder.publish({ schema, layers }, editor.finish(1));
  if (holder.current === undefined) throw new Error('nothing was published');
  return holder.current;
}

function compileLayer(
  wasm: CedarWasm,
  schema: CedarSchema,
  name: LayerName,
  policies: readonly { readonly path: string; readonly text: string }[],
): CompiledLayer {
  const checked = checkPolicies({ layer: name, schema, policies, templates: [], links: [] }, wasm);
  if (!checked.ok) throw new Error(JSON.stringify(checked.problems.slice(0, 3)));
  const builder = new PolicyIndexBuilder(schema.actions);
  const sources: Record<string, string> = {};
  for (const { id, ast, text } of checked.policies) {
    builder.add(compilePolicy({ id, policy: ast, actions: schema.actions }));
    sources[id] = text;
  }
  // a stand-in that differs between layers and sizes; content digests are made at push
  const digest: Digest = `sha256:${`${name}${checked.policies.length}`.padStart(64, '0')}`;
  return { name, digest, index: builder.build(), sources };
}
