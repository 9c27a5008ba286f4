/**
 * No input is allowed unless policy allows exactly what the upstream would do: whatever is understood covers the model,
 * the operation and the stream of every reading that a server behind the gateway could have.
 */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { HeaderList } from '../../../src/edge/ai-requests/header-list.ts';
import { readerFor } from './sample.ts';
import { rawRequest } from './raw-requests.ts';
import { runsOf } from './upstreams.ts';

const RUNS = 4_000;
const reader = readerFor(['openai', 'torchserve'], { allowsSeveralModels: true });
test('whatever is understood covers what any upstream would run', () => {
  let understood = 0;
  let covered = 0;
  fc.assert(
    fc.property(rawRequest, raw => {
      const reading = reader.read({
        method: raw.method,
        target: raw.target,
        headers: HeaderList.of(raw.headers),
        body: { kind: 'whole', bytes: raw.body },
      });
      if (!reading.understood) return;
      understood += 1;
      const { operation, models, stream } = reading.request;
      for (const run of runsOf(raw)) {
        covered += 1;
        const isCovered =
          run.operation === operation &&
          run.models.every(name => models.includes(name)) &&
          (stream || !run.stream);
        expect({ run, isCovered, decided: { operation, models, stream } }).toMatchObject({ isCovered: true });
      }
    }),
    { numRuns: RUNS },
  );
  // a property of requests that are all refused would say nothing
  expect(understood).toBeGreaterThan(RUNS / 100);
  expect(covered).toBeGreaterThan(understood);
});

test.each([
  ['a key twice', { target: '/v1/embeddings', body: '{"model":"good","model":"evil"}' }],
  ['two spellings', { target: '/v1/embeddings', body: '{"model":"good","Model":"evil"}' }],
  ['dots in the path', { target: '/predictions/good/../evil', body: '' }],
  [
    'a header',
    { target: '/v1/embeddings', body: '{"model":"good"}', headers: [['x-model', 'evil']] as const },
  ],
  ['the query', { target: '/v1/embeddings?model=evil', body: '{"model":"good"}' }],
])(
  'the model upstreams differ on %s, so that it must be refused',
  (_, { target: path, body: text, ...more }) => {
    const raw = {
      method: 'POST',
      target: path,
      headers: 'headers' in more ? more.headers : [],
      body: Buffer.from(text),
    };
    const names = new Set(runsOf(raw).flatMap(({ models }) => models));
    expect(names.has('evil')).toBe(true);
    expect(names.size).toBeGreaterThan(1);
    const body = { kind: 'whole', bytes: raw.body } as const;
    const read = reader.read({ ...raw, headers: HeaderList.of(raw.headers), body });
    expect(read.understood).toBe(false);
  },
);
