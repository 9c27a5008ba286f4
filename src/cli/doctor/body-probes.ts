/** Whether bodies that could mean two things, or are not seen whole, get through. */
import { gzipSync } from 'node:zlib';
import { type Headers, ownHeaders, type Plan, requestOf } from './plan.ts';
import type { Attempt, Probe } from './probe.ts';
import type { RawRequest } from './raw-client.ts';

const CHAT = '/v1/chat/completions';
const OTHER = 'duramen-doctor-other-model';
/** How much a compressed body expands, in bytes: beyond what Duramen decodes. */
const EXPANDED_BYTES = 20 * 1024 * 1024;

export function bodyProbes(plan: Plan): Probe[] {
  const own: Headers = ownHeaders(plan);
  const rest = '"messages":[{"role":"user","content":"hi"}],"max_tokens":1';
  const model = JSON.stringify(plan.model);
  const other = JSON.stringify(OTHER);
  const honest = `{"model":${model},${rest}}`;
  const doubled = `{"model":${model},"model":${other},${rest}}`;
  const chat = (
    body: string | Buffer,
    headers: Headers = [],
    more: Partial<RawRequest> = {},
  ): RawRequest => ({
    ...requestOf(CHAT, body, [...own, ...headers]),
    ...more,
  });
  const padding = 'x'.repeat(plan.maxBodyBytes + 1024);
  const zip = (text: string): Buffer => gzipSync(text);
  const gzip: Headers = [['Content-Encoding', 'gzip']];
  const table: readonly (readonly [id: string, what: string, attempts: readonly Attempt[]])[] = [
    [
      'two-models',
      'bodies that name two models',
      [
        { label: 'the key twice', request: chat(doubled) },
        { label: 'the key in two cases', request: chat(`{"model":${model},"Model":${other},${rest}}`) },
        {
          label: 'the key with an escape',
          request: chat(`{"model":${model},"mod\\u0065l":${other},${rest}}`),
        },
        { label: 'fallbacks', request: chat(`{"model":${model},"fallbacks":[{"model":${other}}],${rest}}`) },
        { label: 'models', request: chat(`{"model":${model},"models":[${other}],${rest}}`) },
        { label: 'two documents', request: chat(`${honest}${honest.replace(model, other)}`) },
      ],
    ],
    [
      'elsewhere',
      'another model, or another method, beside the body',
      [
        { label: 'query', request: { ...chat(honest), target: `${CHAT}?model=${OTHER}` } },
        { label: 'header', request: chat(honest, [['x-model', OTHER]]) },
        { label: 'method override', request: chat(honest, [['X-HTTP-Method-Override', 'DELETE']]) },
        { label: 'path override', request: chat(honest, [['X-Original-URL', '/v1/files']]) },
        { label: '_method', request: { ...chat(honest), target: `${CHAT}?_method=DELETE` } },
      ],
    ],
    [
      'disguised',
      'bodies that name two models, in other clothes',
      [
        { label: 'chunked', request: chat(doubled, [], { framing: 'chunked' }) },
        { label: 'gzip', request: chat(zip(doubled), gzip) },
        {
          label: 'text/plain',
          request: { ...chat(doubled), headers: [['Content-Type', 'text/plain'], ...own] },
        },
        { label: 'UTF-16', request: chat(Buffer.from(`\ufeff${doubled}`, 'utf16le')) },
        { label: 'an unknown encoding', request: chat(doubled, [['Content-Encoding', 'duramen']]) },
      ],
    ],
    [
      'oversized',
      'bodies larger than Duramen is shown',
      [
        { label: 'the model last', request: chat(`{"x":"${padding}","model":${model},${rest}}`) },
        {
          label: 'a second model last',
          request: chat(`{"model":${model},"x":"${padding}",${rest},"model":${other}}`),
        },
        {
          label: 'chunked',
          request: chat(`{"model":${model},"x":"${padding}",${rest}}`, [], { framing: 'chunked' }),
        },
        {
          label: 'compressed',
          request: chat(zip(`{"model":${model},"x":"${' '.repeat(EXPANDED_BYTES)}",${rest}}`), gzip),
        },
      ],
    ],
    [
      'partial',
      'bodies that end early',
      [
        { label: 'cut off', request: chat(honest, [], { framing: 'cut' }) },
        { label: 'none', request: chat('') },
        { label: 'half of the JSON', request: chat(honest.slice(0, honest.length / 2)) },
        { label: 'half of the gzip', request: chat(zip(honest).subarray(0, 30), gzip) },
      ],
    ],
  ];
  return table.map(([id, what, attempts]) => ({
    id,
    group: 'body',
    what,
    expects: 'refused',
    needsCaller: true,
    attempts,
    danger: 'the upstream may serve another model than the one that was decided',
    fix: 'show Duramen the whole body, and say so in the profile (`body`, `bodyLength`); refuse what is larger than it takes; or leave `body: none`, which denies what it cannot see',
  }));
}
