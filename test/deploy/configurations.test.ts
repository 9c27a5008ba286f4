/**
 * The configurations of deploy/ agree with the service: names, limits, times and paths. What is run with a real gateway
 * is run elsewhere; here every file is read as what it is.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { type GatewayEntry, gatewayCatalog } from '../../src/cli/gateway-catalog.ts';
import { grpcSettings } from '../../src/config/grpc-settings.ts';
import { pepProfileSchema } from '../../src/domain/pep-profile.ts';
import { makeRows } from '../../src/edge/ai-requests/dialect-families.ts';
import { ACCOUNTS, OVERRIDES } from '../../src/edge/ai-requests/model-names.ts';
import { ANSWER_HEADERS } from '../../src/edge/ext-authz/answer.ts';
import { FAIRNESS_HEADER, OBJECTIVE_HEADER } from '../../src/edge/ext-authz/inference-headers.ts';
import { hookOf } from '../../src/edge/ext-authz/hooks.ts';

const DEPLOY = join(import.meta.dirname, '../../deploy');
const KEY_HEADER = 'x-duramen-key';
/** How long a gateway waits for an answer, in milliseconds. */
const PATIENCE_MS = 1000;
const { maxBodyBytes } = pepProfileSchema.parse({ name: 'default', kind: 'envoy' });

const catalog = [...gatewayCatalog()].map(([kind, entry]) => ({ kind, ...entry }));
const read = (file: string): string => readFileSync(join(DEPLOY, file), 'utf8');
const textOf = ({ files }: Pick<GatewayEntry, 'files'>): string => files.map(read).join('\n');
const profileOf = ({ profile }: Pick<GatewayEntry, 'profile'>) =>
  pepProfileSchema.parse(parse(read(profile)));
const of = (kind: string): GatewayEntry => {
  const entry = gatewayCatalog().get(kind);
  if (entry === undefined) throw new Error(kind);
  return entry;
};

/** The file with something in place of each placeholder. */
function filled(file: string): string {
  return read(file)
    .replaceAll(/@[A-Z]*PORT@/g, '1')
    .replaceAll(/@[A-Z]+@/g, 'x');
}

/** Every value under a name, wherever it stands. */
function valuesOf(value: unknown, name: string): unknown[] {
  if (Array.isArray(value)) return value.flatMap(item => valuesOf(item, name));
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, below]: [string, unknown]) => [
    ...(key === name ? [below] : []),
    ...valuesOf(below, name),
  ]);
}

function documentsOf(kind: string): unknown[] {
  const [main = ''] = of(kind).files;
  return parseAllDocuments(filled(main), { uniqueKeys: true }).map(document => {
    expect([document.errors, document.warnings]).toEqual([[], []]);
    const value: unknown = document.toJS();
    return value;
  });
}

test('every file belongs to a kind', () => {
  const known = new Set(catalog.flatMap(({ files, profile }) => [...files, profile]));
  const there = readdirSync(DEPLOY, { recursive: true, withFileTypes: true })
    .filter(file => file.isFile())
    .map(file => join(file.parentPath, file.name).slice(DEPLOY.length + 1));
  expect(there.toSorted()).toEqual([...known].toSorted());
});

describe.each(catalog)('$kind', entry => {
  test('has a profile that is valid, and asks by its name', () => {
    const profile = profileOf(entry);
    expect(profile.name).toBe(entry.profileName);
    const hook = hookOf(profile.kind);
    const places =
      hook === undefined
        ? [`/ext-authz/${profile.name}`, `duramen_profile: ${profile.name},`, `value: ${profile.name}}`]
        : [`/hooks/${profile.kind}/${profile.name}"`, `/hooks/${profile.kind}/${profile.name}\n`];
    const isInclude = entry.kind === 'nginx-mtls';
    expect(isInclude || places.some(place => textOf(entry).includes(place))).toBe(true);
  });

  test('says that it was not loaded where it was not', () => {
    const [main = ''] = entry.files;
    if (main.endsWith('.json')) return;
    expect(/not loaded by/i.test(read(main).replaceAll('\n# ', ' '))).toBe(entry.testedWith === undefined);
  });

  test('reads as what it is', () => {
    for (const file of [...entry.files, entry.profile]) {
      // JSON is YAML; what is neither is read by its gateway alone
      const documents = /\.(?:json|yaml)$/.test(file) ? parseAllDocuments(filled(file)) : [];
      const faults = documents.flatMap(({ errors, warnings }) => [...errors, ...warnings]);
      expect(faults).toEqual([]);
    }
  });
});

const SHOWS_BODY = [
  ['envoy-http', 'max_request_bytes', 'allow_partial_message'],
  ['envoy-grpc', 'max_request_bytes', 'allow_partial_message'],
  ['envoy-gateway', 'maxRequestBytes', undefined],
  ['envoy-ai-gateway', 'maxRequestBytes', undefined],
  ['istio', 'maxRequestBytes', 'allowPartialMessage'],
  ['agentgateway', 'maxRequestBytes', 'allowPartialMessage'],
  ['traefik', 'maxBodySize', undefined],
  ['apisix', 'max_req_body_size', undefined],
] as const;

describe('bodies', () => {
  test.each(SHOWS_BODY)('%s shows whole ones, as large as its profile takes', (kind, size, partial) => {
    const profile = profileOf(of(kind));
    expect(profile.body).not.toBe('none');
    expect(valuesOf(documentsOf(kind), size)).toEqual([profile.maxBodyBytes]);
    const cut = partial === undefined ? [] : valuesOf(documentsOf(kind), partial);
    expect(cut.every(value => value === false)).toBe(true);
    expect(cut).toHaveLength(partial === undefined ? 0 : 1);
  });

  test.each(['nginx-njs', 'kong'])('%s takes as many bytes as its profile', kind => {
    expect(profileOf(of(kind)).maxBodyBytes).toBe(maxBodyBytes);
    const sizes = [...textOf(of(kind)).matchAll(/client_(?:max_body|body_buffer)_size[ =](\w+)/gi)];
    expect(sizes.map(([, size]) => size)).toEqual([
      `${maxBodyBytes / 1024 ** 2}m`,
      `${maxBodyBytes / 1024 ** 2}m`,
    ]);
  });

  test.each(['haproxy', 'haproxy-mtls'])('%s cuts below the limit of its profile', kind => {
    const [, size] = /tune\.bufsize (\d+)/.exec(textOf(of(kind))) ?? [];
    expect(Number(size)).toBeLessThan(profileOf(of(kind)).maxBodyBytes);
    expect(profileOf(of(kind)).bodyLength).toBe('x-original-content-length');
  });

  test('a question over gRPC is never too large for the listener', () => {
    const { maxMessageBytes } = grpcSettings.parse({});
    expect(maxMessageBytes).toBeGreaterThanOrEqual(maxBodyBytes + 1024 ** 2);
  });
});

describe('when no decision comes', () => {
  const CLOSED: readonly (readonly [string, Readonly<Record<string, readonly unknown[]>>])[] = [
    ['envoy-http', { failure_mode_allow: [false], clear_route_cache: [false], timeout: ['1s', '0s'] }],
    ['envoy-grpc', { failure_mode_allow: [false], clear_route_cache: [false], timeout: ['1s', '0s'] }],
    ['envoy-gateway', { failOpen: [false], statusOnError: [503], timeout: ['1s'], recomputeRoute: [false] }],
    [
      'envoy-ai-gateway',
      { failOpen: [false], statusOnError: [503], timeout: ['1s'], recomputeRoute: [false] },
    ],
    ['istio', { failOpen: [false], statusOnError: ['503'], timeout: ['1s'], clearRouteCache: [false] }],
    ['agentgateway', { failureMode: ['deny'], requestTimeout: ['1s'], cache: [] }],
    ['traefik', { trustForwardHeader: [false] }],
    ['apisix', { allow_degradation: [false], timeout: [PATIENCE_MS], status_on_error: [503] }],
    ['portkey', { deny: [true], failOnError: [true], timeout: [PATIENCE_MS] }],
    [
      'litellm',
      {
        mode: ['pre_call'],
        default_on: [true],
        unreachable_fallback: ['fail_closed'],
        fail_on_error: [true],
        fire_and_forget: [false],
      },
    ],
  ];
  test.each(CLOSED)('%s lets nothing pass', (kind, settings) => {
    for (const [name, values] of Object.entries(settings)) {
      expect([name, valuesOf(documentsOf(kind), name)]).toEqual([name, values]);
    }
  });

  test.each([
    ['nginx', /proxy_read_timeout (\S+);/],
    ['nginx-njs', /proxy_read_timeout (\S+);/],
    ['caddy', /response_header_timeout (\S+)/],
    ['caddy-mtls', /response_header_timeout (\S+)/],
    ['haproxy', /timeout = (\d+)/],
    ['kong', /set_timeouts\(200, 1000, (\d+)\)/],
  ])('%s waits for a second', (kind, pattern) => {
    const [, wait = ''] = pattern.exec(textOf(of(kind))) ?? [];
    expect(wait.endsWith('s') ? Number(wait.slice(0, -1)) * 1000 : Number(wait)).toBe(PATIENCE_MS);
  });

  test('the service answers or gives up later than gateways do', () => {
    expect(grpcSettings.parse({}).timeoutMs).toBeGreaterThan(PATIENCE_MS);
  });
});

/** What changes where a request goes, which model it reaches, who pays, what is stored, and where its JSON ends. */
const MEANINGFUL: readonly string[] = [
  ...OVERRIDES,
  ...ACCOUNTS,
  ...makeRows('sagemaker').flatMap(({ selectors = {} }) => Object.keys(selectors)),
  'x-amzn-sagemaker-session-id',
  'x-amzn-sagemaker-adapter-identifier',
  'x-amzn-bedrock-guardrailidentifier',
  'x-amzn-bedrock-guardrailversion',
  'upgrade',
  'azureml-model-deployment',
  'seldon-model',
  'mm-model-id',
  'mm-vmodel-id',
  'inference-header-content-length',
];

describe('headers', () => {
  const lower = (names: readonly unknown[]) =>
    z
      .array(z.string())
      .parse(names)
      .map(name => name.toLowerCase());
  const all = [...ANSWER_HEADERS, KEY_HEADER].toSorted();
  /** Those that a scheduler behind Envoy trusts. */
  const scheduling = [FAIRNESS_HEADER, OBJECTIVE_HEADER];

  test.each([
    ['envoy-http', () => valuesOf(valuesOf(documentsOf('envoy-http'), 'request_mutations'), 'remove')],
    ['envoy-grpc', () => valuesOf(valuesOf(documentsOf('envoy-grpc'), 'request_mutations'), 'remove')],
    ['envoy-gateway', () => valuesOf(documentsOf('envoy-gateway'), 'remove').flat()],
  ])('%s takes every one of ours from what clients send', (_kind, removed) => {
    expect(lower(removed()).toSorted()).toEqual([...all, ...scheduling].toSorted());
  });

  test('APISIX takes every one of ours from what clients send', () => {
    expect(lower(valuesOf(documentsOf('apisix'), 'remove').flat()).toSorted()).toEqual(all);
  });

  test('Envoy AI Gateway takes its own as well', () => {
    const removed = lower(valuesOf(documentsOf('envoy-ai-gateway'), 'remove').flat());
    expect(removed.filter(name => !name.startsWith('x-ai-eg-')).toSorted()).toEqual(
      [...all, ...scheduling].toSorted(),
    );
    expect(removed).toContain('x-ai-eg-model');
  });

  test.each([
    ['traefik', 'authResponseHeaders'],
    ['apisix', 'upstream_headers'],
  ])('%s sets every one of ours', (kind, name) => {
    expect(lower(valuesOf(documentsOf(kind), name).flat()).toSorted()).toEqual(
      [...ANSWER_HEADERS].toSorted(),
    );
  });

  test('the scripts know every one of ours', () => {
    for (const header of ANSWER_HEADERS) expect(read('kong/duramen.lua')).toContain(`"${header}"`);
  });

  test('what changes where a request goes is shown to Duramen by those that show some headers only', () => {
    const apisix = lower(valuesOf(documentsOf('apisix'), 'request_headers').flat());
    expect(MEANINGFUL.filter(name => !apisix.includes(name))).toEqual([]);
    expect(apisix).toEqual([...new Set(apisix)]);
    const istio = lower(valuesOf(documentsOf('istio'), 'includeRequestHeadersInCheck').flat());
    const isShown = (name: string): boolean =>
      istio.some(given => (given.endsWith('*') ? name.startsWith(given.slice(0, -1)) : given === name));
    expect(MEANINGFUL.filter(name => !isShown(name))).toEqual([]);
    for (const name of ['model', 'x_user', 'openai_project', '_x', '9p-model'])
      expect(isShown(name)).toBe(true);
    expect(ANSWER_HEADERS.every(isShown)).toBe(true);
  });
});
