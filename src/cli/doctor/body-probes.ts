/** Whether bodies that could mean two things, or are not seen whole, get through. */
import { gzipSync } from 'node:zlib';
import { type Headers, ownHeaders, type Plan, requestOf } from './plan.ts';
import type { Attempt, Probe } from './probe.ts';
import type { RawRequest } from './raw-client.ts';

const CHAT = '/v1/chat/completions';
const OTHER = 'duramen-doctor-other-model';
/** How much a compressed body expands, in bytes: beyond what Duramen decodes. */
const EXPANDED_BYTES = 20 * 1024 * 1024;
const REST = '"messages":[{"role":"user","content":"hi"}],"max_tokens":1';
const GZIP: Headers = [['Content-Encoding', 'gzip']];

/** Texts of bodies for one plan. */
interface Bodies {
  readonly own: Headers;
  /** The models as JSON. */
  readonly model: string;
  readonly other: string;
  readonly honest: string;
  /** Names both models under one key. */
  readonly doubled: string;
  readonly maxBodyBytes: number;
}

export function bodyProbes(plan: Plan): readonly Probe[] {
  const model = JSON.stringify(plan.model);
  const other = JSON.stringify(OTHER);
  const bodies: Bodies = {
    own: ownHeaders(plan),
    model,
    other,
    honest: `{"model":${model},${REST}}`,
    doubled: `{"model":${model},"model":${other},${REST}}`,
    maxBodyBytes: plan.maxBodyBytes,
  };
  const table = [
    ['two-models', 'bodies that name two models', twoModels(bodies)],
    ['elsewhere', 'another model, or another method, beside the body', elsewhere(bodies)],
    ['disguised', 'bodies that name two models, in other clothes', disguised(bodies)],
    ['oversized', 'bodies larger than Duramen is shown', oversized(bodies)],
    ['partial', 'bodies that end early', partial(bodies)],
  ] as const;
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

function chat(
  { own }: Bodies,
  label: string,
  body: string | Buffer,
  headers: Headers = [],
  more: Partial<RawRequest> = {},
): Attempt {
  return { label, request: { ...requestOf(CHAT, body, [...own, ...headers]), ...more } };
}

function twoModels(bodies: Bodies): readonly Attempt[] {
  const { model, other, honest, doubled } = bodies;
  return [
    chat(bodies, 'the key twice', doubled),
    chat(bodies, 'the key in two cases', `{"model":${model},"Model":${other},${REST}}`),
    chat(bodies, 'the key with an escape', `{"model":${model},"mod\\u0065l":${other},${REST}}`),
    chat(bodies, 'fallbacks', `{"model":${model},"fallbacks":[{"model":${other}}],${REST}}`),
    chat(bodies, 'models', `{"model":${model},"models":[${other}],${REST}}`),
    chat(bodies, 'two documents', `${honest}${honest.replace(model, other)}`),
  ];
}

function elsewhere(bodies: Bodies): readonly Attempt[] {
  const { honest } = bodies;
  return [
    chat(bodies, 'query', honest, [], { target: `${CHAT}?model=${OTHER}` }),
    chat(bodies, 'header', honest, [['x-model', OTHER]]),
    chat(bodies, 'method override', honest, [['X-HTTP-Method-Override', 'DELETE']]),
    chat(bodies, 'path override', honest, [['X-Original-URL', '/v1/files']]),
    chat(bodies, '_method', honest, [], { target: `${CHAT}?_method=DELETE` }),
  ];
}

function disguised(bodies: Bodies): readonly Attempt[] {
  const { own, doubled } = bodies;
  return [
    chat(bodies, 'chunked', doubled, [], { framing: 'chunked' }),
    chat(bodies, 'gzip', gzipSync(doubled), GZIP),
    chat(bodies, 'text/plain', doubled, [], { headers: [['Content-Type', 'text/plain'], ...own] }),
    chat(bodies, 'UTF-16', Buffer.from(`\ufeff${doubled}`, 'utf16le')),
    chat(bodies, 'an unknown encoding', doubled, [['Content-Encoding', 'duramen']]),
  ];
}

function oversized(bodies: Bodies): readonly Attempt[] {
  const { model, other, maxBodyBytes } = bodies;
  const padding = 'x'.repeat(maxBodyBytes + 1024);
  const bomb = gzipSync(`{"model":${model},"x":"${' '.repeat(EXPANDED_BYTES)}",${REST}}`);
  return [
    chat(bodies, 'the model last', `{"x":"${padding}","model":${model},${REST}}`),
    chat(bodies, 'a second model last', `{"model":${model},"x":"${padding}",${REST},"model":${other}}`),
    chat(bodies, 'chunked', `{"model":${model},"x":"${padding}",${REST}}`, [], { framing: 'chunked' }),
    chat(bodies, 'compressed', bomb, GZIP),
  ];
}

function partial(bodies: Bodies): readonly Attempt[] {
  const { honest } = bodies;
  return [
    chat(bodies, 'cut off', honest, [], { framing: 'cut' }),
    chat(bodies, 'none', ''),
    chat(bodies, 'half of the JSON', honest.slice(0, honest.length / 2)),
    chat(bodies, 'half of the gzip', gzipSync(honest).subarray(0, 30), GZIP),
  ];
}
