/**
 * Requests that upstreams may read differently, through the edges of a service with policies. Invariant: what is allowed
 * would be allowed in every reading that an upstream could have of it.
 */
import * as fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decisionSchema } from '../../../src/domain/decision.ts';
import { rawRequest } from '../ai-requests/raw-requests.ts';
import { type RawRequest, type Run, runsOf } from '../ai-requests/upstreams.ts';
import { type CheckScene, startCheckScene } from '../grpc/scene.ts';
import { ASSERTS, ask } from './asking.ts';

const RUNS = 250;
/** What the names of requests stand for. */
const REGISTERED: Readonly<Record<string, string>> = {
  good: 'acme/support-llm',
  'acme/good': 'acme/support-llm',
  evil: 'globex/demand',
  GOOD: 'globex/demand',
};
const USER = ['x-user', 'acme/alice'] as const;

let scene: CheckScene;
const verdicts = new Map<string, string>();

beforeAll(async () => {
  scene = await startCheckScene([
    {
      name: 'edge',
      kind: 'envoy',
      identity: ASSERTS,
      dialects: ['openai', 'torchserve'],
      body: 'whole',
      severalModels: 'decide',
      models: { ...REGISTERED },
    },
  ]);
});
afterAll(() => scene.stop());

async function overGrpc({ method, target, headers, body }: RawRequest): Promise<boolean> {
  const described = { method, path: target, headers: [...headers, USER], body, form: 'list' } as const;
  return (await scene.judge('edge', described)).passes;
}

/** undefined: the request is none that a client of Node can send. */
async function overHttp({ method, target, headers, body }: RawRequest): Promise<boolean | undefined> {
  // Node's client writes methods in capitals
  if (method !== method.toUpperCase()) return undefined;
  const path = `/ext-authz/edge${target}`;
  const own = [...headers, USER, ['x-duramen-key', scene.key]] as const;
  try {
    return (await ask(scene.service.url, { method, path, headers: own, body })).status === 200;
  } catch {
    return undefined;
  }
}

/** What policies say of one thing that an upstream would do. */
async function verdict(operation: string, name: string, stream: boolean): Promise<string> {
  const id = Object.hasOwn(REGISTERED, name) ? (REGISTERED[name] ?? '') : '';
  const known = verdicts.get(`${operation} ${id} ${stream}`);
  if (known !== undefined) return known;
  if (id === '') return 'deny';
  const reply = await scene.service.call('POST', '/decide', {
    body: {
      principal: { type: 'User', id: 'acme/alice' },
      action: operation,
      resource: { type: 'Model', id },
      params: { stream },
    },
  });
  const { decision } = decisionSchema.parse(reply.json);
  verdicts.set(`${operation} ${id} ${stream}`, decision);
  return decision;
}

async function isAllowed({ operation, models, stream }: Run): Promise<boolean> {
  for (const name of models) if ((await verdict(operation, name, stream)) !== 'allow') return false;
  return true;
}

test('what is allowed is allowed in every reading', async () => {
  let allowed = 0;
  await fc.assert(
    fc.asyncProperty(rawRequest, async raw => {
      const told = [await overGrpc(raw), await overHttp(raw)];
      // both edges judge alike, where both can be asked
      expect(told[1] ?? told[0]).toBe(told[0]);
      if (told[0] !== true) return;
      allowed += 1;
      for (const run of runsOf(raw)) {
        expect({ run, isAllowed: await isAllowed(run) }).toMatchObject({ isAllowed: true });
      }
    }),
    {
      numRuns: RUNS,
      examples: [
        [
          {
            method: 'POST',
            target: '/v1/chat/completions',
            headers: [],
            body: Buffer.from('{"model":"good","messages":[]}'),
          },
        ],
        [{ method: 'GET', target: '/v1/models/good', headers: [], body: Buffer.alloc(0) }],
      ],
    },
  );
  expect(allowed).toBeGreaterThan(1);
  expect([...verdicts.values()]).toContain('allow');
});
