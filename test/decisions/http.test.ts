/**
 * The golden corpus over HTTP, against the service as it is wired: bundles pushed, the world imported, each
 * case decided by POST /decide at its own time, and its entry read back from the log.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { decisionSchema } from '../../src/domain/decision.ts';
import { readCases } from './corpus.ts';
import { type CorpusService, startCorpusService } from './corpus-service.ts';
import { expected, observe, sayable } from './expectation.ts';

const cases = readCases();

/** The entry of a decision as GET /v1/decisions/{id} answers it. */
const entrySchema = z.looseObject({ decisionId: z.string(), log: z.looseObject({ index: z.int() }) });

let service: CorpusService;

beforeAll(async () => {
  service = await startCorpusService({ DURAMEN_ENGINE_CROSS_CHECK: 'all' });
});
afterAll(() => service.stop());

describe('over HTTP', () => {
  test.each(cases)('$title', async one => {
    service.setTime(one.now);
    const answer = await service.call('POST', '/decide', JSON.stringify(one.request));
    const body: unknown = await answer.json();
    expect({ status: answer.status, body }).toMatchObject({ status: 200 });
    const decision = decisionSchema.parse(body);
    expect(observe(decision, one.expect)).toEqual(expected(one.expect));
    expect(decision.evaluatedAt).toBe(new Date(one.now).toISOString());
    expect(decision.requestId).toBe(one.request.requestId);

    const read = await service.call('GET', `/v1/decisions/${decision.decisionId}`);
    const entry = entrySchema.parse(await read.json());
    const { decisionId, obligations, revision, evaluatedAt } = decision;
    expect(entry).toMatchObject({ decisionId, obligations, revision, evaluatedAt, ...sayable(decision) });
    expect(entry.log.index).toBe(decision.log.index);
  });

  test('a batch answers as its requests alone do, in their order', async () => {
    const batch = cases.filter(one => one.now === cases[0]?.now && one.request.requestId === undefined);
    service.setTime(batch[0]?.now ?? failNoCase());
    const some = batch.slice(0, 100);
    const answer = await service.call(
      'POST',
      '/decide/batch',
      JSON.stringify({ requests: some.map(one => one.request) }),
    );
    const { decisions } = z.object({ decisions: z.array(decisionSchema) }).parse(await answer.json());
    expect(decisions.map((decision, at) => observe(decision, some[at]?.expect ?? failNoCase()))).toEqual(
      some.map(one => expected(one.expect)),
    );
  });
});

function failNoCase(): never {
  throw new Error('more decisions than requests');
}
