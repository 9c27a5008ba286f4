/** Whether a gateway believes what its clients say of themselves. Invariant: no spoofed value names anybody. */
import { ANSWER_HEADERS } from '../../edge/ext-authz/answer.ts';
import { FORWARDING_HEADERS } from '../../identity/certificates/forwarded-certificate.ts';
import { SPOOFED } from './judge.ts';
import { type Headers, ownHeaders, type Plan, requestOf } from './plan.ts';
import type { Attempt, Probe } from './probe.ts';

/** Headers by which gateways commonly name callers. */
const USUAL_IDENTITY = [
  'x-user',
  'x-forwarded-user',
  'x-auth-request-user',
  'x-remote-user',
  'remote-user',
  'x-authenticated-user',
] as const;
/** The ways in which a lax reader takes one name for another. */
function spellings(name: string): Attempt['label'][] {
  return [...new Set([name, name.toUpperCase(), name.replaceAll('-', '_'), name.replaceAll('-', '.')])];
}

export function spoofProbes(plan: Plan): Probe[] {
  const { path, body, identityHeaders } = plan;
  const names = [...new Set([...USUAL_IDENTITY, ...identityHeaders.map(name => name.toLowerCase())])];
  const twice = (name: string): Headers => [
    [name, SPOOFED],
    [name, SPOOFED],
  ];
  const variants = (name: string): readonly (readonly [label: string, headers: Headers])[] => [
    ...spellings(name).map(spelling => [spelling, [[spelling, SPOOFED]]] as const),
    [`${name} twice`, twice(name)],
  ];
  const fix = `let the gateway set, or remove, each header that its profile names, whatever the client sent: all spellings, every copy`;
  const anonymous = names.map(
    (name): Probe => ({
      id: `spoof-${name}`,
      group: 'spoofed identity',
      what: `\`${name}\` of a client without a credential`,
      expects: 'nobody',
      needsCaller: false,
      attempts: variants(name).map(([label, headers]) => ({
        label,
        request: requestOf(path, body, headers),
      })),
      danger: 'a client can say who it is',
      fix,
    }),
  );
  const certified = FORWARDING_HEADERS.map(
    (name): Probe => ({
      id: `spoof-${name}`,
      group: 'spoofed identity',
      what: `\`${name}\` of a client without a certificate`,
      expects: 'nobody',
      needsCaller: false,
      attempts: [
        { label: name, request: requestOf(path, body, [[name, 'SUCCESS'], ...certificateHeaders(name)]) },
        {
          label: name.replaceAll('-', '_'),
          request: requestOf(path, body, [[name.replaceAll('-', '_'), 'SUCCESS']]),
        },
      ],
      danger: 'a client can claim a certificate that it does not have',
      fix: 'let the gateway overwrite the header on every request, and the profile take certificates only where the gateway proves itself by one',
    }),
  );
  return [...anonymous, ...certified, ...ownSpoofs(plan, names, fix)];
}

/** Something that reads like a certificate. */
function certificateHeaders(name: string): Headers {
  return name === 'x-ssl-client-verify' ? [['x-ssl-client-cert', 'MIIB']] : [];
}

function ownSpoofs(plan: Plan, names: readonly string[], fix: string): Probe[] {
  const { path, body } = plan;
  const own = ownHeaders(plan);
  const ours = [...ANSWER_HEADERS, 'x-duramen-key'];
  return [
    {
      id: 'spoof-beside-credential',
      group: 'spoofed identity',
      what: 'another name beside a valid credential',
      expects: 'unmoved',
      needsCaller: true,
      attempts: names.map(name => ({
        label: name,
        request: requestOf(path, body, [...own, [name, SPOOFED]]),
      })),
      danger: 'a caller can become another one',
      fix,
    },
    {
      id: 'spoof-decision',
      group: 'spoofed identity',
      what: 'headers that only Duramen sets',
      expects: 'stripped',
      needsCaller: true,
      attempts: ours.flatMap(name =>
        [name, name.replaceAll('-', '_')].map(spelling => ({
          label: spelling,
          request: requestOf(path, body, [...own, [spelling, SPOOFED]]),
        })),
      ),
      danger: 'the upstream believes a model, a tenant or a principal that a client wrote',
      fix: 'remove `x-duramen-*` from what clients send, in both spellings, and copy every one of them from the answer of Duramen',
    },
  ];
}
