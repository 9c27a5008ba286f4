/** Files of batches: every line is read, or the file is refused. */
import { describe, expect, test } from 'vitest';
import { formOf, lineOf, readerFor, requestOf } from './sample.ts';
import { batchOf, lineOfBatch } from './samples/further.ts';

const CHAT = '/v1/chat/completions';
const M = [{ role: 'user', content: 'hi' }];

function upload(fields: Parameters<typeof formOf>[0], several = false): string {
  const { body, headers } = formOf(fields);
  const reader = readerFor(['openai'], { allowsSeveralModels: several });
  return lineOf(reader.read(requestOf('POST /v1/files', body, headers)));
}

/** A file with this text. */
function file(text: string, purpose = 'batch'): Parameters<typeof formOf>[0] {
  return [
    ['purpose', purpose],
    ['file', text, 'application/jsonl'],
  ];
}

const line = (model: string): string => JSON.stringify(lineOfBatch(model));
const raw = (text: string): string => `{"custom_id":"c","method":"POST","url":"${CHAT}","body":${text}}`;

describe('the models of its lines', () => {
  const two = batchOf(lineOfBatch('a'), lineOfBatch('b'), lineOfBatch('a'));

  test('are ambiguous when they are several', () => {
    expect(upload(two)).toMatch(/^MODEL_AMBIGUOUS/);
  });

  test('are all decided where the profile decides each', () => {
    expect(upload(two, true)).toBe('openai.batch-file batch a b');
  });

  test('are read with every ending of a line, and with empty lines between', () => {
    for (const text of [`${line('a')}\n${line('b')}`, `\n\n${line('a')}\r\n\r\n${line('b')}\n\n`]) {
      expect(upload(file(text), true)).toBe('openai.batch-file batch a b');
    }
  });

  test('hide behind no fallback', () => {
    const fallback = lineOfBatch('a', { messages: M, fallbacks: ['b'] });
    expect(upload(batchOf(fallback))).toMatch(/^MODEL_AMBIGUOUS/);
    expect(upload(batchOf(fallback), true)).toBe('openai.batch-file batch a b');
  });
});

// biome-ignore format: one file a line
test.each([
  ['nothing', file(''), 'MODEL_UNKNOWN'],
  ['empty lines', file('\n\n'), 'MODEL_UNKNOWN'],
  ['a line that is cut', file(`${line('a')}\n${line('b').slice(0, 40)}`), 'BODY_INCOMPLETE'],
  ['a line that is no object', file(`${line('a')}\n[]`), 'BODY_UNREADABLE'],
  ['two requests on a line', file(`${line('a')}${line('b')}`), 'BODY_UNREADABLE'],
  ['a line that ends at a carriage return alone', file(`${line('a')}\r${line('b')}`), 'BODY_UNREADABLE'],
  ['a line separator of Unicode', file(`${line('a')}\u2028${line('b')}`), 'BODY_UNREADABLE'],
  ['a model twice', file(raw('{"model":"a","model":"b"}')), 'MODEL_AMBIGUOUS'],
  ['a model in two cases', file(raw('{"model":"a","Model":"b"}')), 'BODY_UNREADABLE'],
  ['a body twice', file(`{"custom_id":"c","method":"POST","url":"${CHAT}","body":{"model":"a"},"body":{"model":"b"}}`), 'BODY_UNREADABLE'],
  ['no model', file(raw('{"messages":[]}')), 'MODEL_UNKNOWN'],
  ['no body', file(`{"custom_id":"c","method":"POST","url":"${CHAT}"}`), 'MODEL_UNKNOWN'],
  ['a key that is not known', file(`{"custom_id":"c","method":"POST","url":"${CHAT}","model":"b","body":{"model":"a"}}`), 'INPUT_REJECTED'],
  ['another base', file(raw('{"model":"a","api_base":"https://evil"}')), 'INPUT_REJECTED'],
  ['another method', batchOf({ ...lineOfBatch('a'), method: 'DELETE' }), 'MODEL_UNKNOWN'],
  ['an unknown path', batchOf(lineOfBatch('a', {}, '/v1/fine_tuning/jobs')), 'MODEL_UNKNOWN'],
  ['a path with a query', batchOf(lineOfBatch('a', {}, `${CHAT}?model=b`)), 'MODEL_UNKNOWN'],
  ['a stored prompt', batchOf(lineOfBatch('a', { prompt: { id: 'p' } }, '/v1/responses')), 'MODEL_UNKNOWN'],
  ['another purpose', file(line('a'), 'assistants'), 'MODEL_UNKNOWN'],
  ['a purpose in capitals', file(line('a'), 'BATCH'), 'MODEL_UNKNOWN'],
  ['no purpose', [['file', line('a'), 'application/jsonl']], 'MODEL_UNKNOWN'],
  ['two purposes', [...batchOf(lineOfBatch('a')), ['purpose', 'fine-tune']], 'BODY_UNREADABLE'],
  ['two files', [...batchOf(lineOfBatch('a')), ['file', line('b'), 'application/jsonl']], 'BODY_UNREADABLE'],
  ['a field in the place of the file', [['purpose', 'batch'], ['file', line('a')]], 'MODEL_UNKNOWN'],
  ['a field that may name a model', [...batchOf(lineOfBatch('a')), ['model', 'b']], 'INPUT_REJECTED'],
] as const)('is refused with %s', (_, fields, code) => {
  expect(upload(fields, true).split(':', 1)[0]).toBe(code);
});

describe('a batch that is started', () => {
  const start = (body: object, bound?: string): string =>
    lineOf(readerFor(['openai']).read(requestOf('POST /v1/batches', body), bound));
  const job = { input_file_id: 'file-1', endpoint: CHAT, completion_window: '24h' };

  test('reaches the only model of its route, and without one is denied', () => {
    expect(start(job, 'gpt-4o')).toBe('openai.batch batch gpt-4o');
    expect(start(job)).toMatch(/^MODEL_UNKNOWN/);
  });

  test.each([
    ['a model beside the file', { ...job, model: 'b' }, 'INPUT_REJECTED'],
    ['no file', { endpoint: CHAT }, 'MODEL_UNKNOWN'],
    ['another endpoint', { ...job, endpoint: '/v1/fine_tuning/jobs' }, 'MODEL_UNKNOWN'],
  ])('is refused with %s', (_, body, code) => {
    expect(start(body, 'gpt-4o').split(':', 1)[0]).toBe(code);
  });
});
