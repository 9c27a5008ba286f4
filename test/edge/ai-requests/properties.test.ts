/** Whatever is done to a request: reading it ends, soon, and names no model that the request does not name. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GatewayRequest } from '../../../src/edge/ai-requests/ai-request.ts';
import { DIALECT_FAMILIES } from '../../../src/domain/pep-profile.ts';
import { HeaderList } from '../../../src/edge/ai-requests/header-list.ts';
import { lineOf, readerFor, requestOf } from './sample.ts';
import { SAMPLES } from './samples/all.ts';

const ALL = readerFor(DIALECT_FAMILIES, { allowsSeveralModels: true });
const READERS = SAMPLES.map(({ dialects }) => readerFor(dialects, { allowsSeveralModels: true }));
const requests = SAMPLES.flatMap(({ samples }, family) =>
  samples.map(([line, body, , extras]) => ({ family, request: requestOf(line, body, extras?.headers) })),
);
const sample = fc.constantFrom(...requests);

/** One change of the bytes of a body. */
const change = fc.record({
  kind: fc.constantFrom('cut', 'insert', 'replace', 'remove', 'repeat'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat(12),
  bytes: fc.oneof(
    fc.uint8Array({ maxLength: 4 }),
    fc
      .constantFrom(
        '"model":"dear",',
        '{',
        '}',
        '[',
        '"',
        ',',
        ':',
        '\\',
        '\\u0000',
        '\r\n',
        '--',
        '\u0000',
        '1e999',
      )
      .map(text => Buffer.from(text)),
  ),
});

function mutate(
  bytes: Uint8Array,
  { kind, at, length, bytes: other }: typeof change extends fc.Arbitrary<infer T> ? T : never,
) {
  const start = Math.floor(at * bytes.length);
  const [before, rest] = [bytes.subarray(0, start), bytes.subarray(start)];
  if (kind === 'cut') return before;
  if (kind === 'insert') return Buffer.concat([before, other, rest]);
  if (kind === 'replace') return Buffer.concat([before, other, rest.subarray(other.length)]);
  if (kind === 'remove') return Buffer.concat([before, rest.subarray(length)]);
  return Buffer.concat([before, rest.subarray(0, length), rest]);
}

/** Every text that a request shows: its target, headers and body, decoded in the ways that names are. */
function shownBy({ target, headers, body }: GatewayRequest): string {
  const bytes = body.kind === 'whole' ? Buffer.from(body.bytes).toString('utf8') : '';
  const values = [...headers.names()].flatMap(name => headers.all(name));
  const plain = [target, ...values, bytes].join('\n');
  const unescaped = plain
    .replaceAll(/\\u([0-9a-fA-F]{4})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replaceAll('\\/', '/');
  return `${plain}\n${unescaped}\n${unescaped.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))}`;
}

/** Pieces of a name, which a dialect may put together with `@` and `/`. */
function piecesOf(name: string): string[] {
  return (
    name
      .split(/[@/]/)
      // what a header selects of an endpoint stands behind its kind
      .map(piece => piece.replace(/^(?:variant|container|component):/, ''))
      .filter(
        piece =>
          ![
            'projects',
            'locations',
            'publishers',
            'models',
            'endpoints',
            'guardrail',
            'tunedModels',
            'openapi',
          ].includes(piece),
      )
  );
}

test('a mutated request names no model but those that it shows', () => {
  fc.assert(
    fc.property(sample, fc.array(change, { minLength: 1, maxLength: 3 }), ({ family, request }, changes) => {
      fc.pre(request.body.kind === 'whole' && request.headers.single('content-encoding') === undefined);
      const before = request.body.kind === 'whole' ? request.body.bytes : new Uint8Array();
      const bytes = changes.reduce<Uint8Array>(mutate, before);
      const mutant: GatewayRequest = { ...request, body: { kind: 'whole', bytes } };
      const understanding = READERS[family]?.read(mutant);
      const models = understanding?.understood === true ? understanding.request.models : [];
      const shown = shownBy(mutant);
      for (const piece of models.flatMap(piecesOf)) expect(shown).toContain(piece);
    }),
    { numRuns: 4000 },
  );
});

test('any method, target, headers and body are read or refused, never thrown at', () => {
  const header = fc.tuple(
    fc.oneof(
      fc.constantFrom('content-type', 'content-encoding', 'x-model', 'mcp-method'),
      fc.string({ minLength: 1 }),
    ),
    fc.oneof(
      fc.constantFrom('application/json', 'gzip', 'br', 'multipart/form-data; boundary=b'),
      fc.string(),
    ),
  );
  const target = fc.oneof(
    fc.constantFrom(...requests.map(({ request }) => request.target)),
    fc.string(),
    fc.webUrl(),
  );
  const method = fc.oneof(fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'), fc.string());
  const body = fc.oneof(
    fc.uint8Array(),
    fc.json().map(text => Buffer.from(text)),
    fc.string({ unit: 'binary' }).map(text => Buffer.from(text)),
  );
  fc.assert(
    fc.property(method, target, fc.array(header, { maxLength: 6 }), body, (verb, path, headers, bytes) => {
      const request: GatewayRequest = {
        method: verb,
        target: path,
        headers: HeaderList.of(headers),
        body: { kind: 'whole', bytes },
      };
      const understanding = ALL.read(request);
      expect(ALL.read(request)).toEqual(understanding);
      expect(understanding.understood || understanding.refusal.message.length > 10).toBe(true);
    }),
    { numRuns: 4000 },
  );
});

test('a body that was cut is never understood, unless only its end was empty', () => {
  const json = requests.filter(({ request }) => {
    const first = request.body.kind === 'whole' ? request.body.bytes[0] : 0;
    return first === 0x7b && request.headers.single('inference-header-content-length') === undefined;
  });
  const opaque = /^\/(?:predictions|explanations|endpoints)\//;
  fc.assert(
    fc.property(
      fc.constantFrom(...json),
      fc.double({ min: 0, max: 1, noNaN: true }),
      ({ family, request }, part) => {
        fc.pre(!opaque.test(request.target) || SAMPLES[family]?.name === 'MLflow');
        const bytes = request.body.kind === 'whole' ? request.body.bytes : new Uint8Array();
        const cut = bytes.subarray(0, Math.floor(part * (bytes.length - 1)));
        const understanding = READERS[family]?.read({ ...request, body: { kind: 'whole', bytes: cut } });
        expect(understanding === undefined ? '' : lineOf(understanding)).toMatch(/^BODY_INCOMPLETE/);
      },
    ),
    { numRuns: 2000 },
  );
});

describe('time is linear', () => {
  const body = (fill: string) => `{"model":"m","messages":[],"x":${fill}}`;
  const hostile: readonly (readonly [name: string, make: (size: number) => string])[] = [
    ['brackets', size => body('['.repeat(size))],
    ['quotes', size => body('"'.repeat(size))],
    ['backslashes', size => body(`"${'\\'.repeat(size)}"`)],
    ['escapes', size => body(`"${'\\ud800'.repeat(size / 6)}"`)],
    ['one long key', size => body(`{"${'k'.repeat(size)}":1}`)],
    ['spaces', size => body(' '.repeat(size))],
    ['digits', size => body('9'.repeat(size))],
    ['signs', size => body('-'.repeat(size))],
    ['boundaries', size => '--b\r\n'.repeat(size / 5)],
    ['dashes', size => '-'.repeat(size)],
  ];
  test.each(hostile)('in a body of %s', (_, make) => {
    // 4 MiB would take minutes if anything were quadratic; the limit is the runner's
    for (const type of ['application/json', 'multipart/form-data; boundary=b']) {
      for (const line of ['POST /v1/chat/completions', 'POST /v1/audio/transcriptions', 'POST /mcp']) {
        const understanding = ALL.read(requestOf(line, make(4 * 1024 * 1024), { 'content-type': type }));
        expect(understanding.understood && type !== 'application/json').toBe(false);
      }
    }
  });
});
