/**
 * The gateways that there are configurations for: the files of `deploy/`, which are the templates. Invariant: a
 * configuration has one source; the command fills in what stands there, and nothing stands in this file that is in it.
 */
import { readFileSync } from 'node:fs';

const FOLDER = new URL('../../deploy/', import.meta.url);

/** One configuration. */
export interface GatewayEntry {
  /** Files below `deploy/`, the main one first. */
  readonly files: readonly string[];
  /** The profile that belongs to it, below `deploy/`. */
  readonly profile: string;
  /** Name of the profile in the files. */
  readonly profileName: string;
  /** The version with which the tests run it; undefined: it was not loaded by that gateway here. */
  readonly testedWith: string | undefined;
}

function entry(
  name: string,
  [main, ...others]: readonly [string, ...string[]],
  more: { readonly profileName?: string; readonly testedWith?: string } = {},
): GatewayEntry {
  const { profileName = name, testedWith } = more;
  const stem = main.replace(/\.[A-Za-z]+$/, '');
  return { files: [main, ...others], profile: `${stem}.profile.yaml`, profileName, testedWith };
}

/** By the name that the command takes. */
export function gatewayCatalog(): ReadonlyMap<string, GatewayEntry> {
  return new Map([
    ['envoy-http', entry('envoy', ['envoy/http.yaml'])],
    ['envoy-grpc', entry('envoy-grpc', ['envoy/grpc.yaml'])],
    ['envoy-gateway', entry('envoy-gateway', ['envoy-gateway/security-policy.yaml'])],
    ['envoy-ai-gateway', entry('envoy-ai-gateway', ['envoy-ai-gateway/security-policy.yaml'])],
    ['istio', entry('istio', ['istio/authorization.yaml'])],
    ['agentgateway', entry('agentgateway', ['agentgateway/config.yaml'])],
    ['nginx', entry('nginx', ['nginx/auth-request.conf'], { testedWith: 'nginx 1.22' })],
    ['nginx-njs', entry('njs', ['nginx/njs.conf', 'nginx/duramen.njs'], { testedWith: 'njs 0.7.9' })],
    [
      'nginx-mtls',
      entry('nginx', ['nginx/client-certificates.conf', 'nginx/ask-over-tls.conf'], {
        testedWith: 'nginx 1.22',
      }),
    ],
    ['caddy', entry('caddy', ['caddy/Caddyfile'], { testedWith: 'Caddy 2.6' })],
    [
      'haproxy',
      entry('haproxy', ['haproxy/haproxy.cfg', 'haproxy/duramen.lua'], { testedWith: 'HAProxy 2.6' }),
    ],
    ['caddy-mtls', entry('caddy', ['caddy/mtls.Caddyfile'], { testedWith: 'Caddy 2.6' })],
    [
      'haproxy-mtls',
      entry('haproxy', ['haproxy/mtls.cfg', 'haproxy/duramen.lua'], { testedWith: 'HAProxy 2.6' }),
    ],
    ['traefik', entry('traefik', ['traefik/dynamic.yaml'])],
    ['apisix', entry('apisix', ['apisix/apisix.yaml'])],
    ['kong', entry('kong', ['kong/kong.yaml', 'kong/duramen.lua'])],
    ['portkey', entry('portkey', ['portkey/config.json'], { testedWith: 'Portkey 1.15' })],
    ['litellm', entry('litellm', ['litellm/config.yaml'])],
  ]);
}

/** A file of `deploy/` as it stands there. */
export function readTemplate(file: string): string {
  return readFileSync(new URL(file, FOLDER), 'utf8');
}
