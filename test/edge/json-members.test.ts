/** A key written with an escape never reaches JSON.parse, which has been seen to read it as another key. */
import { expect, test } from 'vitest';
import { parseBodyJson } from '../../src/edge/ai-requests/json-text.ts';
import { parseJson } from '../../src/edge/http/json-body.ts';

/** With this before it, Node 24.21 reads `{"G":1,"\u0047":2}` as if its second key were a backslash. */
const PRIMER = String.raw`{"G":1,"\\":2}`;
const HIDDEN = [
  String.raw`{"G":1,"\u0047":2}`,
  String.raw`{"model":"cheap","\u006dodel":"dear"}`,
  String.raw`{"messages":[],"\u0074ools":[]}`,
  String.raw`{"a":{"b":[{"x\/y":1}]}}`,
  String.raw`{"model":"cheap","\u006Dodel" :"dear"}`,
];

test.each(HIDDEN)('%s is refused, also after the parser was primed for it', text => {
  const isModelKey = (key: string) => key === 'model';
  for (let round = 0; round < 5; round += 1) {
    JSON.parse(PRIMER);
    expect(() => parseJson(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'INVALID_REQUEST' }));
    expect(() => parseBodyJson(Buffer.from(text), isModelKey)).toThrow(Error);
  }
});

test('escapes in values and beyond ASCII stay what they are', () => {
  const text = String.raw`{"text":"\u006d\n\"","caf\u00e9":1}`;
  const value = { text: 'm\n"', café: 1 };
  expect(parseJson(Buffer.from(text))).toEqual(value);
  expect(parseBodyJson(Buffer.from(text), () => false)).toEqual(value);
});
