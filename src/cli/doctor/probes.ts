/**
 * What the doctor tries. Invariants: every list is closed, so that the number of requests is known beforehand; a request
 * that would be allowed names the model that was given and asks for one token.
 */
import { bodyProbes } from './body-probes.ts';
import { allowedRequest, type Headers, ownHeaders, type Plan, requestOf } from './plan.ts';
import type { Probe } from './probe.ts';
import { spoofProbes } from './spoof-probes.ts';

export function makeProbes(plan: Plan): readonly Probe[] {
  return [
    ...controlProbes(plan),
    ...credentialProbes(plan),
    ...spoofProbes(plan),
    ...bodyProbes(plan),
    ...pathProbes(plan),
    ...sideDoorProbes(plan),
  ];
}

function controlProbes(plan: Plan): Probe[] {
  return [
    {
      id: 'control',
      group: 'control',
      what: 'a request that is allowed',
      expects: 'passes',
      needsCaller: true,
      attempts: [{ label: plan.path, request: allowedRequest(plan) }],
      danger: 'nothing can be told from refusals while what is allowed is refused, too',
      fix: 'check --path, --body, --model, the caller and the profile: GET /v1/decisions has the entry with its reason',
    },
  ];
}

function credentialProbes({ path, body }: Plan): Probe[] {
  const shared = { group: 'credentials', expects: 'nobody', needsCaller: false } as const;
  return [
    {
      ...shared,
      id: 'no-credential',
      what: 'a request of nobody',
      attempts: [{ label: path, request: requestOf(path, body) }],
      danger: 'anybody reaches the models',
      fix: 'let every request pass Duramen, and name no caller where there is none: compare with `duramen gateway-config`',
    },
    {
      ...shared,
      id: 'wrong-credential',
      what: 'a credential that nobody has',
      attempts: [
        {
          label: 'Bearer',
          request: requestOf(path, body, [['Authorization', 'Bearer duramen-doctor-no-key']]),
        },
        { label: 'Basic', request: requestOf(path, body, [['Authorization', 'Basic bm9ib2R5Og==']]) },
      ],
      danger: 'any credential will do',
      fix: 'let the gateway verify the credential before it names a caller, or let Duramen (`identity: {mode: verify}`)',
    },
  ];
}

/** Paths that two readers could take for different ones. @param path absolute */
function traps(path: string): readonly string[] {
  const [first = '', ...rest] = path.slice(1).split('/');
  const tail = rest.join('/');
  return [
    `/${path}`,
    `/${first}//${tail}`,
    `/./${path.slice(1)}`,
    `/duramen-doctor/..${path}`,
    `/duramen-doctor/%2e%2e${path}`,
    `/duramen-doctor/..;${path}`,
    `/duramen-doctor/..%2f${path.slice(1)}`,
    `/${first}%2f${tail}`,
    `${path};x=y`,
    `${path}/`,
    `${path}%00`,
    `${path}%20`,
    `${path}#x`,
    `/${first}\\${tail}`,
    `/%${first.codePointAt(0)?.toString(16) ?? '76'}${path.slice(2)}`,
    path.toUpperCase(),
    `http://duramen-doctor.invalid${path}`,
  ];
}

function pathProbes(plan: Plan): Probe[] {
  const { path, body } = plan;
  const own = ownHeaders(plan);
  const fix =
    'protect every path, not a list of them, and forward the target as it was decided: no merging of slashes, no decoding';
  return [
    {
      id: 'path-traps',
      group: 'paths',
      what: 'paths that are written differently, of nobody',
      expects: 'nobody',
      needsCaller: false,
      attempts: traps(path).map(target => ({ label: target, request: requestOf(target, body) })),
      danger: 'a path that is written differently reaches the models without a decision',
      fix,
    },
    {
      id: 'path-rewriting',
      group: 'paths',
      what: 'paths that are written differently, of a caller',
      expects: 'same-path',
      needsCaller: true,
      attempts: traps(path).map(target => ({ label: target, request: requestOf(target, body, own) })),
      danger: 'another path is forwarded than the one that was decided',
      fix,
    },
  ];
}

/** Paths that models' servers and gateways answer beside those of an API. */
const SIDE_DOORS = [
  '/',
  '/v1/models',
  '/v1/completions',
  '/v1/responses',
  '/v1/files',
  '/invocations',
  '/tokenize',
  '/pooling',
  '/score',
  '/rerank',
  '/metrics',
  '/v1/load_lora_adapter',
  '/api/tags',
  '/v2/repository/index',
  '/_duramen',
  '/ext-authz/doctor',
] as const;
const METHODS = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'] as const;

function sideDoorProbes({ path, body }: Plan): Probe[] {
  const upgrade: Headers = [
    ['Connection', 'Upgrade'],
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Version', '13'],
    ['Sec-WebSocket-Key', 'ZHVyYW1lbi1kb2N0b3IhIQ=='],
  ];
  const shared = {
    group: 'side doors',
    expects: 'nobody',
    needsCaller: false,
    danger: 'there is a way to the models past Duramen',
    fix: 'ask Duramen about every method and every path, upgrades as well',
  } as const;
  return [
    {
      ...shared,
      id: 'other-paths',
      what: 'other paths, of nobody',
      attempts: SIDE_DOORS.flatMap(target => [
        { label: `GET ${target}`, request: { method: 'GET', target, headers: [] } },
        { label: `POST ${target}`, request: requestOf(target, body) },
      ]),
    },
    {
      ...shared,
      id: 'other-methods',
      what: 'other methods, of nobody',
      attempts: METHODS.map(method => ({ label: method, request: { method, target: path, headers: [] } })),
    },
    {
      ...shared,
      id: 'upgrade',
      what: 'an upgrade to a WebSocket, of nobody',
      attempts: [
        {
          label: '/v1/realtime',
          request: { method: 'GET', target: '/v1/realtime?model=x', headers: upgrade },
        },
        { label: path, request: { method: 'GET', target: path, headers: upgrade } },
      ],
    },
  ];
}
