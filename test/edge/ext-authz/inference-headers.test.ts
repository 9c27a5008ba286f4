/** Headers for the scheduler of the Gateway API Inference Extension: this service's word, and no client's. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PepProfileInput, pepProfileSchema } from '../../../src/domain/pep-profile.ts';
import type { Outcome } from '../../../src/edge/ext-authz/answer.ts';
import { inferenceHeaders } from '../../../src/edge/ext-authz/inference-headers.ts';
import { CheckCodec } from '../../../src/edge/grpc/check-codec.ts';
import { encodeOutcome } from '../../../src/edge/grpc/check-response.ts';
import { loadProtos } from '../../../src/edge/grpc/protos.ts';
import { envoyJudges } from '../grpc/envoy.ts';
import type { TestService } from '../service.ts';
import { ASSERTS, ask, chatOf, startWithProfiles } from './asking.ts';

const FAIRNESS = 'x-gateway-inference-fairness-id';
const OBJECTIVE = 'x-gateway-inference-objective';
const OPENAI: Omit<PepProfileInput, 'name'> = {
  kind: 'envoy',
  identity: ASSERTS,
  dialects: ['openai'],
  body: 'whole',
};
const PROFILES: readonly PepProfileInput[] = [
  { ...OPENAI, name: 'tenants', inference: { objectives: { standard: 'interactive' } } },
  { ...OPENAI, name: 'persons', inference: { fairness: 'principal', defaultObjective: 'best-effort' } },
  { ...OPENAI, name: 'none' },
];

function profileOf(name: string) {
  return pepProfileSchema.parse(PROFILES.find(profile => profile.name === name));
}

describe('over HTTP', () => {
  let service: TestService;
  let key: string;
  beforeAll(async () => {
    service = await startWithProfiles(PROFILES);
    key = await service.makeKey(['pep']);
  });
  afterAll(() => service.stop());

  function asks(profile: string, user: string, headers: Readonly<Record<string, string>> = {}) {
    return ask(service.url, {
      path: `/ext-authz/${profile}/v1/chat/completions`,
      headers: { 'x-duramen-key': key, 'x-user': user, 'content-type': 'application/json', ...headers },
      body: chatOf('acme/support-llm'),
    });
  }

  test.each([
    ['tenants', 'acme', 'interactive'],
    ['persons', 'acme/User::acme/alice', 'best-effort'],
  ])('an allow of the profile `%s` has both', async (profile, fairness, objective) => {
    const { status, headers } = await asks(profile, 'acme/alice');
    expect([status, headers[FAIRNESS], headers[OBJECTIVE]]).toEqual([200, fairness, objective]);
  });

  test('a deny clears both, so that a gateway that copies them keeps nothing', async () => {
    const { status, headers } = await asks('tenants', 'acme/mallory');
    expect([status, headers[FAIRNESS], headers[OBJECTIVE]]).toEqual([403, '', '']);
  });

  test('a profile that issues none says nothing of them', async () => {
    const { status, headers } = await asks('none', 'acme/alice', { [FAIRNESS]: 'mine' });
    expect([status, headers[FAIRNESS]]).toEqual([200, undefined]);
  });

  test.each([
    FAIRNESS,
    OBJECTIVE,
    'X-Gateway-Inference-Fairness-Id',
    'x_gateway_inference_fairness_id',
    'x-gateway_inference-objective',
  ])('a client that sends `%s` is refused', async name => {
    const { status, headers } = await asks('tenants', 'acme/alice', { [name]: 'globex' });
    expect([status, headers['x-duramen-reason']]).toEqual([403, 'INPUT_REJECTED']);
  });
});

describe('over gRPC', () => {
  let codec: CheckCodec;
  beforeAll(() => {
    codec = new CheckCodec(loadProtos(join(import.meta.dirname, '../../../schema/protos')).check);
  });

  function outcome(tier: string | undefined): Outcome {
    return {
      decision: {
        decisionId: 'id',
        decision: 'allow',
        reason: { code: 'POLICY_ALLOW', level: 'action', message: 'a message', policies: ['p/q'] },
        levels: {},
        obligations: [],
        revision: { layers: {}, directory: 1, schema: 's' },
        log: { origin: 'o', index: 0, size: 1 },
        evaluatedAt: '2026-01-01T00:00:00.000Z',
        auth: { mode: 'assert', method: 'gateway' },
      },
      request: {
        principal: { type: 'User', id: 'acme/alice' },
        action: 'generate',
        resource: { type: 'Model', id: 'acme/m' },
        explain: 'none',
      },
      requestedName: 'm',
      dialect: 'openai.chat',
      tier,
    };
  }
  const forged = [
    [FAIRNESS, 'globex'],
    [OBJECTIVE, 'critical'],
  ] as const;

  test.each([
    ['of a tier with an objective', 'standard', 'interactive'],
    ['of another tier', 'bronze', undefined],
    ['without a tier', undefined, undefined],
    ['with the tier of a prototype', 'constructor', undefined],
  ])('what a client wrote is overwritten or taken away: a call %s', (_, tier, objective) => {
    const verdict = envoyJudges(encodeOutcome(outcome(tier), profileOf('tenants'), codec), forged);
    expect(verdict.passes).toBe(true);
    expect(verdict.headers.get(FAIRNESS)).toEqual(['acme']);
    expect(verdict.headers.get(OBJECTIVE)).toEqual(objective === undefined ? undefined : [objective]);
  });
});

test.each([
  ['whose data is used', 'globex', 'globex'],
  ['of the principal, where no other is named', undefined, 'acme'],
])('calls are queued by the tenant %s', (_, tenant, fairness) => {
  const request = { principal: { type: 'User', id: 'acme/alice' }, tenant };
  const headers = inferenceHeaders(profileOf('tenants'), request, { isAllowed: true, tier: undefined });
  expect(headers[FAIRNESS]).toBe(fairness);
});

test.each([
  ['a hook', { ...OPENAI, name: 'x', kind: 'litellm', inference: {} }],
  ['a profile that takes them away', { ...OPENAI, name: 'x', inference: {}, removeHeaders: [OBJECTIVE] }],
  ['an objective that is no name', { ...OPENAI, name: 'x', inference: { defaultObjective: 'a\r\nb' } }],
])('%s is refused', (_, profile) => expect(pepProfileSchema.safeParse(profile).success).toBe(false));
