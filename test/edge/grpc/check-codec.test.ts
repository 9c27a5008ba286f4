/** Answers as bytes: what Envoy's field numbers make of them, and that nothing else than what was meant is ever sent. */
import { join } from 'node:path';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { CheckCodec } from '../../../src/edge/grpc/check-codec.ts';
import { encodeCheckResponse } from '../../../src/edge/grpc/check-encoder.ts';
import type { AllowResponse, DenyResponse } from '../../../src/edge/grpc/check-messages.ts';
import { loadProtos, type Protos } from '../../../src/edge/grpc/protos.ts';
import { makeStruct, textAt } from '../../../src/edge/grpc/struct.ts';
import { checkRequest } from './envoy.ts';
import { entry, int, Message, part, varint } from './wire.ts';

/** Field numbers of google.protobuf.Value and ListValue. */
const LIST_OF_VALUE = 6;
const VALUES_OF_LIST = 1;

const header = (key: string, value: string) =>
  ({ header: { key, value }, append: { value: false }, append_action: 2 }) as const;
const REFUSED = 'says something else after encoding';
const ALLOW: AllowResponse = {
  status: { code: 0, message: 'POLICY_ALLOW' },
  ok_response: { headers: [header('x-a', 'b')], headers_to_remove: ['x-c'] },
  dynamic_metadata: makeStruct({ n: 41, list: ['p', 'q'], none: [] }),
};
const DENY: DenyResponse = {
  status: { code: 7, message: 'FORBIDDEN_BY_POLICY' },
  denied_response: { status: { code: 403 }, headers: [header('x-a', 'b')], body: '{}' },
  dynamic_metadata: makeStruct({ decision: 'deny' }),
};

let check: Protos['check'];
let codec: CheckCodec;
beforeAll(() => {
  ({ check } = loadProtos(join(import.meta.dirname, '../../../schema/protos')));
  codec = new CheckCodec(check);
});

describe('the bytes', () => {
  const option = (key: string, value: string): Buffer =>
    part(2, [part(1, [part(1, key), part(2, value)]), part(2, [int(1, 0)]), int(3, 2)]);

  test('of an allow are those of the field numbers', () => {
    const number = Buffer.alloc(9);
    number[0] = (2 << 3) | 1;
    number.writeDoubleLE(41, 1);
    const list = part(6, [part(1, [part(3, 'p')]), part(1, [part(3, 'q')])]);
    expect(codec.encodeAllow(ALLOW)).toEqual(
      Buffer.concat([
        part(1, [int(1, 0), part(2, 'POLICY_ALLOW')]),
        part(3, [option('x-a', 'b'), part(5, 'x-c')]),
        part(4, [entry(1, 'n', number), entry(1, 'list', list), entry(1, 'none', part(6, []))]),
      ]),
    );
  });

  test('of a deny are those of the field numbers', () => {
    expect(codec.encodeDeny(DENY)).toEqual(
      Buffer.concat([
        part(1, [int(1, 7), part(2, 'FORBIDDEN_BY_POLICY')]),
        part(2, [part(1, [int(1, 403)]), option('x-a', 'b'), part(3, '{}')]),
        part(4, [entry(1, 'decision', [part(3, 'deny')])]),
      ]),
    );
  });

  test('of a request are read by the field numbers, whatever else is there', () => {
    const attributes = codec.decodeRequest(
      checkRequest({
        path: '/a?b',
        host: 'h',
        headers: [['x', 'y']],
        form: 'list',
        body: Buffer.from([0xff]),
        bodyForm: 'raw',
        size: -1,
        extensions: { k: 'v' },
        metadata: { f: [entry(1, 'a', [part(5, [entry(1, 'b', [part(3, 'c')])])])] },
        principal: 'spiffe://a/b',
        certificate: 'c',
      }),
    );
    expect(attributes).toMatchObject({
      source: { principal: 'spiffe://a/b', certificate: 'c' },
      context_extensions: { k: 'v' },
      request: { http: { method: 'POST', path: '/a?b', host: 'h', size: -1, raw_body: Buffer.from([0xff]) } },
    });
    expect(attributes?.request?.http?.header_map?.headers.at(-1)).toMatchObject({
      key: 'x',
      raw_value: Buffer.from('y'),
    });
    expect(textAt(attributes?.metadata_context?.filter_metadata['f'], ['a', 'b'])).toBe('c');
  });
});

describe('a message that says something else than what was meant', () => {
  /** A codec whose encoder makes a mistake. */
  const lying = (bytes: (right: Buffer) => Buffer): CheckCodec =>
    new CheckCodec(check, response => bytes(encodeCheckResponse(response)));
  const status = (code: number): Buffer => part(1, [int(1, code), part(2, 'FORBIDDEN_BY_POLICY')]);

  test.each([
    ['nothing at all, which allows', () => Buffer.alloc(0)],
    [
      'no status, which allows',
      (right: Buffer) => right.subarray(right.indexOf(part(2, [part(1, [int(1, 403)])]).subarray(0, 1))),
    ],
    ['a status without a code, which allows', (right: Buffer) => Buffer.concat([right, part(1, [])])],
    ['the code 0, which allows', (right: Buffer) => Buffer.concat([right, status(0)])],
    ['another code', (right: Buffer) => Buffer.concat([right, status(8)])],
    ['an ok_response', (right: Buffer) => Buffer.concat([right, part(3, [])])],
    ['no denied_response', () => Buffer.concat([status(7), part(4, [])])],
    [
      'the status 200',
      (right: Buffer) => Buffer.concat([right, part(2, [part(1, [int(1, 200)]), part(3, '{}')])]),
    ],
    ['a field more', (right: Buffer) => Buffer.concat([right, part(4, [entry(1, 'x', [part(3, 'y')])])])],
    ['the allow of another request', () => codec.encodeAllow(ALLOW)],
    ['half a message', (right: Buffer) => right.subarray(0, -1)],
  ] satisfies [string, (right: Buffer) => Buffer][])('is never a deny: %s', (_, bytes) => {
    expect(() => lying(bytes).encodeDeny(DENY)).toThrow(REFUSED);
  });

  test.each([
    ['nothing at all', () => Buffer.alloc(0)],
    ['no ok_response', () => part(1, [int(1, 0), part(2, 'POLICY_ALLOW')])],
    ['a denied_response', (right: Buffer) => Buffer.concat([right, part(2, [])])],
    ['a header less', (right: Buffer) => Buffer.concat([right, part(3, [part(5, 'x-c')])])],
    ['the deny of another request', () => codec.encodeDeny(DENY)],
  ] satisfies [string, (right: Buffer) => Buffer][])('is never an allow: %s', (_, bytes) => {
    expect(() => lying(bytes).encodeAllow(ALLOW)).toThrow(REFUSED);
  });

  test('is refused when a name was mistyped, which the encoder drops without a word', () => {
    const renamed = (from: string, to: string): CheckCodec =>
      new CheckCodec(check, response => {
        const text = JSON.stringify(response).replace(`"${from}"`, `"${to}"`);
        return check.responseSerialize(z.looseObject({}).parse(JSON.parse(text)));
      });
    for (const [from, to] of [
      ['status', 'Status'],
      ['denied_response', 'deniedResponse'],
      ['code', 'Code'],
      ['append_action', 'appendAction'],
      ['headers', 'header'],
      ['dynamic_metadata', 'dynamicMetadata'],
    ] as const) {
      expect(() => renamed(from, to).encodeDeny(DENY)).toThrow(REFUSED);
    }
  });

  test('is refused when it is a deny with the code or the status of an allow', () => {
    for (const wrong of [
      { ...DENY, status: { code: 0, message: '' } },
      { ...DENY, denied_response: { ...DENY.denied_response, status: { code: 200 } } },
      { ...DENY, denied_response: { ...DENY.denied_response, status: { code: 0 } } },
      { ...DENY, denied_response: { ...DENY.denied_response, status: { code: 500 } } },
    ]) {
      expect(() => codec.encodeDeny(wrong)).toThrow(REFUSED);
    }
  });
});

describe('bytes that are no CheckRequest', () => {
  test.each([
    ['a length beyond the end', Buffer.from([0x0a, 0x7f])],
    ['half a number', Buffer.from([0x08, 0x80])],
    ['a field of an unknown kind', Buffer.from([0x0f])],
    ['groups without end', Buffer.alloc(200_000, 0x1b)],
    ['values nested deeper than any stack', nested(30_000)],
  ])('are not read: %s', (_, bytes) => {
    expect(codec.decodeRequest(bytes)).toBeUndefined();
  });

  test('are not these: an empty one, and one with unknown fields alone', () => {
    const empty = { context_extensions: {} };
    expect(codec.decodeRequest(Buffer.alloc(0))).toEqual(empty);
    expect(codec.decodeRequest(Buffer.concat([part(77, 'x'), int(78, 1)]))).toEqual(empty);
  });
});

test('answers have fields of the numbers that Envoy knows, and no others', () => {
  expect(new Message(codec.encodeAllow(ALLOW)).numbers()).toEqual([1, 3, 4]);
  expect(new Message(codec.encodeDeny(DENY)).numbers()).toEqual([1, 2, 4]);
});

/** A CheckRequest whose metadata holds lists in lists. */
function nested(depth: number): Buffer {
  const heads: Buffer[] = [];
  let length = 0;
  for (let at = 0; at < depth; at += 1) {
    for (const tag of [LIST_OF_VALUE, VALUES_OF_LIST]) {
      const head = Buffer.concat([varint((tag << 3) | 2), varint(length)]);
      heads.push(head);
      length += head.byteLength;
    }
  }
  const list = Buffer.concat(heads.reverse());
  return part(1, [part(11, [entry(1, 'f', [entry(1, 'a', [part(LIST_OF_VALUE, list)])])])]);
}

describe('the encoder', () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/);
  const options = fc.array(
    fc.tuple(name, fc.stringMatching(/^[ -~]{0,20}$/)).map(([key, value]) => header(key, value)),
    { minLength: 1, maxLength: 12 },
  );
  const metadata = fc
    .dictionary(
      name,
      fc.oneof(
        fc.string({ unit: 'grapheme' }),
        fc.double({ noNaN: true }),
        fc.array(fc.string(), { maxLength: 3 }),
        fc.constant({}),
        fc.dictionary(name, fc.oneof(fc.string(), fc.integer()), {
          minKeys: 1,
          maxKeys: 3,
          noNullPrototype: true,
        }),
      ),
      { minKeys: 1, maxKeys: 5, noNullPrototype: true },
    )
    .map(makeStruct);
  const message = fc.string({ unit: 'grapheme', maxLength: 400 });
  const allow = fc.record({
    status: fc.record({ code: fc.constant(0 as const), message }),
    ok_response: fc.record(
      {
        headers: options,
        headers_to_remove: fc.array(name, { minLength: 1, maxLength: 3 }),
        response_headers_to_add: options,
      },
      { requiredKeys: ['headers'] },
    ),
    dynamic_metadata: metadata,
  });
  const deny = fc.record({
    status: fc.record({ code: fc.integer({ min: 1, max: 16 }), message }),
    denied_response: fc.record({
      status: fc.record({ code: fc.integer({ min: 400, max: 499 }) }),
      headers: options,
      body: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 3000 }),
    }),
    dynamic_metadata: metadata,
  });

  test('writes the bytes that protobufjs writes, and they are read back', () => {
    fc.assert(
      fc.property(allow, response => {
        expect(codec.encodeAllow(response)).toEqual(check.responseSerialize(response));
      }),
    );
    fc.assert(
      fc.property(deny, response => {
        expect(codec.encodeDeny(response)).toEqual(check.responseSerialize(response));
      }),
    );
  });

  test.each([
    ['of no kind', {}],
    ['of two kinds', { stringValue: 'a', numberValue: 1 }],
    ['of a kind that is not written', { boolValue: true }],
    ['that is a list of no values', { listValue: { values: ['a'] } }],
  ])('leaves out no value %s', (_, value) => {
    expect(() => encodeCheckResponse({ ...ALLOW, dynamic_metadata: { fields: { value } } })).toThrow(
      'metadata',
    );
  });
});
