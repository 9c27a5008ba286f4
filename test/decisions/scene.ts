/**
 * The corpus' world as a snapshot: the shipped bundles, one more tenant whose policies can fail, and the
 * entities. Invariant: policies pass the same gate as at a push, and entities the same parser as at a write.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestEntity } from '../../src/bundles/test-case.ts';
import { compilePolicy } from '../../src/cedar/compile.ts';
import { Oracle } from '../../src/cedar/oracle.ts';
import { LinearIndex, PolicyIndexBuilder } from '../../src/cedar/policy-index.ts';
import type { CedarSchema } from '../../src/cedar/schema.ts';
import { parseSchema } from '../../src/cedar/schema-parse.ts';
import { type CheckedPolicy, checkPolicies } from '../../src/cedar/validate.ts';
import { CedarWasm } from '../../src/cedar/wasm.ts';
import { rebuild } from '../../src/directory/rebuild.ts';
import type { LayerName } from '../../src/domain/ids.ts';
import { entityParser } from '../../src/pdp/directory-schema.ts';
import { type EngineName, ModalEvaluator, Quarantine } from '../../src/pdp/evaluator.ts';
import { type CompiledLayer, type Snapshot, SnapshotHolder } from '../../src/pdp/snapshot.ts';
import { readWorld } from './corpus.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const UPDATED_AT = '2026-01-01T00:00:00.000Z';

/** Folders of the layers that are active in the corpus. */
const LAYERS: readonly (readonly [LayerName, string])[] = [
  ['platform', 'policies/platform/policies'],
  ['tenant:acme', 'policies/tenants/acme/policies'],
  ['tenant:globex', 'policies/tenants/globex/policies'],
  ['tenant:initech', 'test/decisions/initech'],
];

/** How layers find their policies: by scope, or one after the other. */
export type IndexKind = 'index' | 'linear';

export async function buildSnapshot(kind: IndexKind): Promise<Snapshot> {
  const { current } = await buildHolder(kind);
  if (current === undefined) throw new Error('nothing was published');
  return current;
}

/** The snapshot in the holder that the engine of the service reads. */
export async function buildHolder(
  kind: IndexKind,
  entities: readonly TestEntity[] = readWorld().entities,
): Promise<SnapshotHolder> {
  const wasm = new CedarWasm();
  const parsed = parseSchema(read('policies/platform/schema.cedarschema'), wasm);
  if (!parsed.ok) throw new Error(`the shipped schema does not parse: ${JSON.stringify(parsed.problems)}`);
  const { schema } = parsed;
  const layers = new Map(
    LAYERS.map(([name, folder]) => [name, buildLayer(schema, name, folder, kind, wasm)]),
  );
  const records = entities.map(({ type, id, ...body }, at) => ({
    ref: { type, id },
    ...body,
    revision: at + 1,
    updatedAt: UPDATED_AT,
  }));
  const clock = { now: () => 0, monotonic: () => 0 };
  const { graph, problems } = await rebuild([records], records.length, entityParser(schema), clock);
  if (graph === undefined) throw new Error(`the world does not load: ${JSON.stringify(problems)}`);
  const holder = new SnapshotHolder();
  holder.publish({ schema, layers }, graph);
  return holder;
}

/** The evaluator of the service in one mode; a disagreement in `all` becomes a deny that no case expects. */
export function buildEvaluator(evaluator: EngineName, crossCheck: 'all' | 'off'): ModalEvaluator {
  const oracle = new Oracle(new CedarWasm());
  return new ModalEvaluator({
    mode: { evaluator, crossCheck },
    oracle: {
      evaluate: ({ schema, layers, request }) =>
        oracle.authorize({
          schema,
          layers: layers.map(({ digest, sources }) => ({ digest, policies: sources })),
          request,
        }),
    },
    sampling: { sample: () => undefined },
    quarantine: new Quarantine(),
    onDisagreement: () => undefined,
  });
}

/** The text of the policies of a layer, by file name. */
export function readPolicies(folder: string): { path: string; text: string }[] {
  return readdirSync(join(REPOSITORY, folder))
    .filter(name => name.endsWith('.cedar'))
    .sort()
    .map(name => ({ path: `policies/${name}`, text: read(`${folder}/${name}`) }));
}

function buildLayer(
  schema: CedarSchema,
  name: LayerName,
  folder: string,
  kind: IndexKind,
  wasm: CedarWasm,
): CompiledLayer {
  const sources = { layer: name, schema, policies: readPolicies(folder), templates: [], links: [] };
  const checked = checkPolicies(sources, wasm);
  if (!checked.ok) throw new Error(`layer ${name} does not pass: ${JSON.stringify(checked.problems)}`);
  return {
    name,
    digest: `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0')}`,
    index: indexOf(schema, checked.policies, kind),
    sources: Object.fromEntries(checked.policies.map(({ id, text }) => [id, text])),
  };
}

function indexOf(
  schema: CedarSchema,
  checked: readonly CheckedPolicy[],
  kind: IndexKind,
): CompiledLayer['index'] {
  const { actions } = schema;
  const policies = checked.map(({ id, ast }) => compilePolicy({ id, policy: ast, actions }));
  if (kind === 'linear') return new LinearIndex(policies);
  const builder = new PolicyIndexBuilder(actions);
  for (const policy of policies) builder.add(policy);
  return builder.build();
}

function read(path: string): string {
  return readFileSync(join(REPOSITORY, path), 'utf8');
}
