/** A narrowed credential never does more than the policies let its owner do, whatever it is narrowed to. */
import * as fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import type { CallerKeyScope, CallerNarrowing } from '../../src/domain/caller-key.ts';
import type { Decision } from '../../src/domain/decision.ts';
import type { DecisionRequestInput } from '../../src/domain/decision-request.ts';
import { AppError } from '../../src/domain/errors.ts';
import { type NarrowedEngine, narrowedEngine } from '../pdp/narrowed-engine.ts';

let engine: NarrowedEngine;
beforeAll(async () => {
  engine = await narrowedEngine();
});

const TENANTS = ['acme', 'globex', 'm1', 'initech', 'nowhere'];
const MODELS = [
  'acme/support-llm',
  'acme/fraud',
  'acme/fraud@3',
  'acme/embed',
  'globex/translate',
  'acme/none',
];
const ACTIONS = ['generate', 'embed', 'invoke', 'deploy', 'readPartition', 'callTool', 'writeOutput', 'fly'];
const GROUPS = ['Inference', 'Any', 'Lifecycle', 'PartitionAccess', 'Downstream', 'Use'];
const PRINCIPALS = [
  'acme/alice',
  'acme/bob',
  'acme/carol',
  'globex/erin',
  'globex/gina',
  'm1/shop',
  'acme/none',
];
const ADDRESSES = ['10.0.0.1', '192.0.2.7', '2001:db8::1', '10.0.0.0/8'];

const some = (...values: readonly string[]) => fc.subarray([...values], { minLength: 1, maxLength: 3 });
const scope: fc.Arbitrary<CallerKeyScope> = fc.record(
  {
    actions: some(...ACTIONS, ...GROUPS),
    models: some(...MODELS),
    modelGroups: some('acme/shared', 'acme/risk', 'globex/analytics'),
    tenants: some(...TENANTS),
  },
  { requiredKeys: [] },
);
const narrowing: fc.Arbitrary<CallerNarrowing> = fc.record({
  scopes: fc.array(scope, { maxLength: 3 }),
  networks: fc.oneof(
    { weight: 3, arbitrary: fc.constant([]) },
    some('10.0.0.0/8', '2001:db8::/32', '0.0.0.0/0'),
  ),
});
const anything: fc.Arbitrary<DecisionRequestInput> = fc.record(
  {
    principal: fc.constantFrom(...PRINCIPALS).map(id => ({ type: 'User', id })),
    action: fc.constantFrom(...ACTIONS.slice(0, 4)),
    resource: fc.constantFrom(...MODELS).map(id => ({ type: 'Model', id })),
    tenant: fc.constantFrom(...TENANTS),
    onBehalfOf: fc.constantFrom('m1', 'm2'),
    partitions: fc.subarray([
      { id: 'acme/payments', access: 'read' as const },
      { id: 'acme/tickets', access: 'write' as const },
      { id: 'globex/joint', access: 'export' as const },
    ]),
    tools: fc.subarray([{ id: 'acme/refund', amountCents: 100 }, { id: 'globex/notify' }]),
    outputs: fc.subarray([{ id: 'acme/s3-reports', path: 'a', classification: 1 }]),
    context: fc.constantFrom(...ADDRESSES).map(ip => ({ ip })),
  },
  { requiredKeys: ['principal', 'action', 'resource'] },
);

/** Half of them plain ones, of which the policies allow many. */
const request = fc.oneof(
  anything,
  fc.record({
    principal: fc.constantFrom('acme/alice', 'acme/eve').map(id => ({ type: 'User', id })),
    action: fc.constantFrom('generate', 'invoke'),
    resource: fc.constantFrom(...MODELS).map(id => ({ type: 'Model', id })),
  }),
);

/** The decision; undefined where the request is refused as malformed. */
async function decide(asked: DecisionRequestInput, limit?: CallerNarrowing): Promise<Decision | undefined> {
  try {
    return await engine.decide(asked, limit);
  } catch (error) {
    if (error instanceof AppError && error.code === 'INVALID_REQUEST') return undefined;
    throw error;
  }
}

const isBeyond = (decision: Decision | undefined) => decision?.reason.code === 'CREDENTIAL_SCOPE';
/** What a decision says, without its name and its place. */
const saidBy = (decision: Decision | undefined) =>
  decision === undefined ? '' : JSON.stringify({ ...decision, decisionId: '', log: '' });

test('a narrowed decision is the direct one, or a deny', async () => {
  let allowed = 0;
  const property = fc.asyncProperty(request, narrowing, async (asked, limit) => {
    const narrow = await decide(asked, limit);
    if (isBeyond(narrow)) return narrow?.decision === 'deny';
    if (narrow?.decision === 'allow' && limit.scopes.length > 0) allowed += 1;
    return saidBy(narrow) === saidBy(await decide(asked));
  });
  await expect(fc.assert(property, { numRuns: 2_000 })).resolves.toBeUndefined();
  // otherwise the property would hold of a credential that reaches nothing
  expect(allowed).toBeGreaterThan(0);
});

test('another alternative reaches no less', async () => {
  const property = fc.asyncProperty(request, narrowing, scope, async (asked, limit, other) => {
    fc.pre(limit.scopes.length > 0);
    const before = await decide(asked, limit);
    const wider = await decide(asked, { ...limit, scopes: [...limit.scopes, other] });
    return isBeyond(before) || !isBeyond(wider);
  });
  await expect(fc.assert(property, { numRuns: 1_000 })).resolves.toBeUndefined();
});

test('another condition in an alternative reaches no further', async () => {
  const added = fc.oneof(
    fc.record({ actions: some(...ACTIONS, ...GROUPS) }),
    fc.record({ tenants: some(...TENANTS) }),
    fc.record({ models: some(...MODELS) }),
  );
  const property = fc.asyncProperty(request, scope, added, async (asked, one, more) => {
    // `models` and `modelGroups` are one condition: a second list of it widens
    fc.pre(!('models' in more) || (one.models === undefined && one.modelGroups === undefined));
    const before = await decide(asked, { scopes: [one], networks: [] });
    const tighter = await decide(asked, { scopes: [{ ...more, ...one }], networks: [] });
    return !isBeyond(before) || isBeyond(tighter);
  });
  await expect(fc.assert(property, { numRuns: 1_000 })).resolves.toBeUndefined();
});
