/** Request ids: the same id and request give one decision, another request is refused, failures are forgotten. */
import { describe, expect, it } from 'vitest';
import type { Decision } from '../../src/domain/decision.ts';
import { decisionRequestSchema } from '../../src/domain/decision-request.ts';
import { AppError } from '../../src/domain/errors.ts';
import { IDEMPOTENCY_WINDOW_MS, IdempotencyWindow, MAX_REMEMBERED } from '../../src/pdp/idempotency.ts';
import { requestFingerprint } from '../../src/wiring/request-fingerprint.ts';

const request = decisionRequestSchema.parse({
  requestId: 'r1',
  principal: { type: 'User', id: 'acme/alice' },
  action: 'generate',
  resource: { type: 'Model', id: 'acme/m' },
});

function decision(decisionId: string): Decision {
  return {
    decisionId,
    decision: 'deny',
    reason: { code: 'NO_MATCHING_PERMIT', level: 'endpoint', message: 'no', policies: [] },
    levels: {},
    obligations: [],
    auth: { mode: 'assert', method: 'asserted' },
    revision: { layers: {}, directory: 1, schema: 's' },
    log: { origin: 'o', index: 0, size: 1 },
    evaluatedAt: '2026-01-01T00:00:00.000Z',
  };
}

function setup() {
  let time = 0;
  let calls = 0;
  const window = new IdempotencyWindow({ now: () => time, monotonic: () => time }, requestFingerprint);
  return {
    window,
    advance: (ms: number) => {
      time += ms;
    },
    decide: () => Promise.resolve(decision(`d${++calls}`)),
    calls: () => calls,
  };
}

describe('IdempotencyWindow', () => {
  it('decides once for a repeated request, also while the first is under way', async () => {
    const { window, decide, calls } = setup();
    const answers = await Promise.all([
      window.run('k', 'r1', request, decide),
      window.run('k', 'r1', request, decide),
    ]);
    expect(answers.map(answer => answer.decisionId)).toEqual(['d1', 'd1']);
    expect((await window.run('k', 'r1', request, decide)).decisionId).toBe('d1');
    expect(calls()).toBe(1);
  });

  it('refuses another request under the same id', async () => {
    const { window, decide } = setup();
    await window.run('k', 'r1', request, decide);
    await expect(window.run('k', 'r1', { ...request, action: 'embed' }, decide)).rejects.toMatchObject({
      code: 'REQUEST_ID_CONFLICT',
    });
  });

  it('takes requests for the same that differ in the order of their members alone', async () => {
    const { window, decide } = setup();
    const context = { region: 'eu', more: { a: 1, b: [{ c: 2, d: 3 }] } };
    await window.run('k', 'r1', { ...request, context }, decide);
    const { action, ...rest } = request;
    const turned = { context: { more: { b: [{ d: 3, c: 2 }], a: 1 }, region: 'eu' }, ...rest, action };
    expect((await window.run('k', 'r1', turned, decide)).decisionId).toBe('d1');
    const other = { context: { ...context, more: { a: 1, b: [{ c: 3, d: 2 }] } }, ...rest, action };
    await expect(window.run('k', 'r1', other, decide)).rejects.toMatchObject({ code: 'REQUEST_ID_CONFLICT' });
  });

  it('compares what the log could not hold as well, and leaves the refusal to others', async () => {
    const { window, decide } = setup();
    const broken = { ...request, context: { share: 0.5 } };
    expect((await window.run('k', 'r1', broken, decide)).decisionId).toBe('d1');
    expect((await window.run('k', 'r1', broken, decide)).decisionId).toBe('d1');
    await expect(window.run('k', 'r1', request, decide)).rejects.toMatchObject({
      code: 'REQUEST_ID_CONFLICT',
    });
  });

  it('keeps credentials apart', async () => {
    const { window, decide } = setup();
    await window.run('k1', 'r1', request, decide);
    expect((await window.run('k2', 'r1', { ...request, action: 'embed' }, decide)).decisionId).toBe('d2');
  });

  it('forgets an id after the window', async () => {
    const { window, decide, advance } = setup();
    await window.run('k', 'r1', request, decide);
    advance(IDEMPOTENCY_WINDOW_MS - 1);
    expect((await window.run('k', 'r1', request, decide)).decisionId).toBe('d1');
    advance(1);
    expect((await window.run('k', 'r1', { ...request, action: 'embed' }, decide)).decisionId).toBe('d2');
    expect(window.size).toBe(1);
  });

  it('forgets a failure, so that a retry decides afresh', async () => {
    const { window, decide } = setup();
    const failing = () => Promise.reject(new AppError('LOG_BACKPRESSURE', 'busy'));
    await expect(window.run('k', 'r1', request, failing)).rejects.toMatchObject({ code: 'LOG_BACKPRESSURE' });
    expect((await window.run('k', 'r1', request, decide)).decisionId).toBe('d1');
  });

  it('never remembers more than its limit', async () => {
    const { window } = setup();
    const answer = Promise.resolve(decision('d'));
    for (let n = 0; n < MAX_REMEMBERED + 10; n++) await window.run('k', `r${n}`, request, () => answer);
    expect(window.size).toBe(MAX_REMEMBERED);
  });
});
