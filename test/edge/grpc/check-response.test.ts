/** Outcomes as answers, with whatever an outcome could ever hold. */
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { AppError } from '../../../src/domain/errors.ts';
import { pepProfileSchema } from '../../../src/domain/pep-profile.ts';
import { REASON_CODES } from '../../../src/domain/reason.ts';
import { answerFailure, type Outcome } from '../../../src/edge/ext-authz/answer.ts';
import { CheckCodec } from '../../../src/edge/grpc/check-codec.ts';
import { encodeFailure, encodeOutcome } from '../../../src/edge/grpc/check-response.ts';
import { loadProtos } from '../../../src/edge/grpc/protos.ts';
import { envoyJudges } from './envoy.ts';
import { Message } from './wire.ts';

let codec: CheckCodec;
beforeAll(() => {
  codec = new CheckCodec(loadProtos(join(import.meta.dirname, '../../../schema/protos')).check);
});

const PROFILE = pepProfileSchema.parse({ name: 'g', kind: 'envoy', removeHeaders: ['authorization'] });

function outcomeOf(
  decision: 'allow' | 'deny',
  code: Outcome['decision']['reason']['code'],
  requestedName = 'm',
): Outcome {
  return {
    decision: {
      decisionId: 'id',
      decision,
      reason: { code, level: 'action', message: 'a message', policies: ['p/q'] },
      levels: {},
      obligations: [{ type: 'require_approval', policy: 'p/q' }],
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
    requestedName,
    dialect: 'openai.chat',
  };
}

describe('the code of an answer', () => {
  test.each(REASON_CODES)('is not 0 for a deny with %s', code => {
    const { bytes, status } = encodeOutcome(outcomeOf('deny', code), PROFILE, codec);
    expect(new Message(bytes).message(1)?.int(1)).toBeGreaterThan(0);
    expect(envoyJudges({ bytes }, [], true)).toMatchObject({ passes: false, status });
  });

  test('is 0 for an allow alone', () => {
    const { bytes, status } = encodeOutcome(outcomeOf('allow', 'POLICY_ALLOW'), PROFILE, codec);
    expect(status).toBe(200);
    expect(envoyJudges({ bytes }, []).passes).toBe(true);
  });

  test('is not 0 for any failure that is answered', () => {
    for (const code of [
      'TENANT_NOT_ALLOWED',
      'ASSERTION_NOT_ALLOWED',
      'INVALID_REQUEST',
      'LOG_UNAVAILABLE',
    ] as const) {
      const { bytes } = encodeFailure(answerFailure(new AppError(code, 'x'), PROFILE), code, codec);
      expect(envoyJudges({ bytes }, [], true)).toMatchObject({ passes: false, status: 403 });
    }
  });
});

describe('a header with a value that could be read as two', () => {
  test.each(['a\r\nx-user: root', 'a\nb', 'a\0', 'é', '\u{1f600}', ''])(
    'is not sent, but removed: %j',
    name => {
      const own = [['x-duramen-requested-model', 'of the client']] as const;
      const allow = envoyJudges(encodeOutcome(outcomeOf('allow', 'POLICY_ALLOW', name), PROFILE, codec), own);
      expect(allow.passes).toBe(true);
      expect(allow.headers.has('x-duramen-requested-model')).toBe(false);
      const denied = envoyJudges(
        encodeOutcome(outcomeOf('deny', 'MODEL_UNKNOWN', name), PROFILE, codec),
        own,
      );
      expect(denied.passes).toBe(false);
      expect(denied.headers.has('x-duramen-requested-model')).toBe(false);
    },
  );
});

test('headers are removed by name, not by a header for Envoy over HTTP', () => {
  const { bytes } = encodeOutcome(outcomeOf('allow', 'POLICY_ALLOW'), PROFILE, codec);
  const verdict = envoyJudges({ bytes }, [['authorization', 'Bearer x']]);
  expect([...verdict.headers.keys()]).not.toContain('authorization');
  expect([...verdict.headers.keys()]).not.toContain('x-envoy-auth-headers-to-remove');
});
