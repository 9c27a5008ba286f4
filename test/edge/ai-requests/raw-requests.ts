/** Requests that servers behind a gateway may read differently: duplicates, spellings, detours, overrides, encodings. */
import { gzipSync } from 'node:zlib';
import * as fc from 'fast-check';
import type { RawRequest } from './upstreams.ts';

const MODELS = [
  'good',
  'evil',
  'acme/good',
  'GOOD',
  ' good',
  'good ',
  'g\\u006fod',
  'evil"',
  '',
  'good\\u0000',
  'göod',
];

const model = fc.constantFrom(...MODELS);
/** Texts of members, one after the other: duplicates, spellings, and other places for models. */
const member = fc.oneof(
  { weight: 6, arbitrary: model.map(name => `"model":${quoted(name)}`) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(
        fc.constantFrom(
          'Model',
          'MODEL',
          'm\\u006fdel',
          'model ',
          'ｍodel',
          'mo\\u0064el',
          'model_id',
          'engine',
        ),
        model,
      )
      .map(([key, name]) => `"${key}":${quoted(name)}`),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '"stream":true',
      '"stream":false',
      '"stream":"true"',
      '"Stream":true',
      '"stream":1',
      '"stream":null',
    ),
  },
  { weight: 2, arbitrary: model.map(name => `"fallbacks":[{"model":${quoted(name)}}]`) },
  { weight: 1, arbitrary: model.map(name => `"models":[${quoted(name)}]`) },
  {
    weight: 4,
    arbitrary: fc.constantFrom('"messages":[]', '"input":"hi"', '"prompt":"hi"', '"max_tokens":5', '"n":2'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '"metadata":{"model":"evil"}',
      '"messages":[{"role":"user","content":"\\"model\\":\\"evil\\""}]',
    ),
  },
);
const separator = fc.constantFrom(',', ',', ',', ',', ', ', ',\n', ',,', ',/*x*/');
const ending = fc.constantFrom('}', '}', '}', '}', '}', '} ', ',}', '}{"model":"evil"}', '} x', '');
const beginning = fc.constantFrom('{', '{', '{', '{', '\ufeff{', ' {', '[{', '{"x":{"model":"evil"},');
const json = fc
  .tuple(beginning, fc.array(fc.tuple(member, separator), { minLength: 1, maxLength: 5 }), ending)
  .map(
    ([start, members, end]) =>
      start + members.map(([text, comma], at) => (at === 0 ? '' : comma) + text).join('') + end,
  );

const encodings: readonly ((text: string) => Buffer)[] = [
  text => Buffer.from(text, 'utf8'),
  text => Buffer.from(text, 'utf8'),
  text => Buffer.from(text, 'utf8'),
  text => Buffer.from(text, 'latin1'),
  text => Buffer.from(text, 'utf16le'),
  text => gzipSync(text),
  text => Buffer.concat([gzipSync(text), gzipSync('{"model":"evil"}')]),
];
const body = fc.tuple(json, fc.constantFrom(...encodings)).map(([text, encode]) => encode(text));

const PATHS = [
  '/v1/chat/completions',
  '/v1/completions',
  '/v1/embeddings',
  '/v1/moderations',
  '/v1/models/good',
  '/v1/models/acme%2Fgood',
  '/predictions/good',
  '/predictions/evil',
  '/v1/files',
];
/** Changes of a path that some server takes back. */
const DETOURS: readonly ((path: string) => string)[] = [
  path => path,
  path => path,
  path => path,
  path => path.replace('/v1', '//v1'),
  path => path.replace('/v1', '/v1/.'),
  path => `/predictions/good/..${path}`,
  path => `/predictions/good/%2e%2e${path}`,
  path => `/v1/models/good/..${path}`,
  path => path.replace('o', '%6f'),
  path => path.replace('/', '/%2e/'),
  path => path.replace('completions', 'completions;x=1'),
  path => path.toUpperCase(),
  path => `${path}/`,
  path => path.replaceAll('/', '\\'),
  path => `${path}%00/x`,
  path => path.replace('good', 'good%2F..%2Fevil'),
  path => path.replace('%2F', '%252F'),
  path => `${path}#x`,
];
const query = fc.constantFrom(
  '',
  '',
  '',
  '',
  '?x=1',
  '?model=evil',
  '?model=good',
  '?model=good&model=evil',
  '?_method=DELETE',
  '?MODEL=evil',
  '?model=evil;x',
);
const target = fc
  .tuple(fc.constantFrom(...PATHS), fc.constantFrom(...DETOURS), query)
  .map(([path, detour, end]) => detour(path) + end);
const header = fc.constantFrom(
  ['content-type', 'application/json'],
  ['content-type', 'application/json; charset=utf-16'],
  ['Content-Type', 'text/plain'],
  ['content-encoding', 'gzip'],
  ['content-encoding', 'identity'],
  ['x-model', 'evil'],
  ['X_Model', 'evil'],
  ['x-http-method-override', 'DELETE'],
  ['X_HTTP_Method_Override', 'GET'],
  ['x-http-method', 'DELETE'],
  ['x-original-url', '/v1/models/evil'],
  ['X-Rewrite-URL', '/predictions/evil'],
  ['accept', 'text/event-stream'],
) satisfies fc.Arbitrary<[string, string]>;
const JSON_TYPE: readonly (readonly [string, string])[] = [['content-type', 'application/json']];
const headers = fc.oneof(
  { weight: 3, arbitrary: fc.constant(JSON_TYPE) },
  { weight: 2, arbitrary: fc.array(header, { maxLength: 3 }) },
);
const method = fc.constantFrom('POST', 'POST', 'POST', 'POST', 'GET', 'DELETE', 'PUT', 'post', 'PATCH');
/** A request of a client that wants to be read in two ways. */
export const rawRequest: fc.Arbitrary<RawRequest> = fc.record({ method, target, headers, body });

function quoted(name: string): string {
  return `"${name.replace('"', String.raw`\"`)}"`;
}
