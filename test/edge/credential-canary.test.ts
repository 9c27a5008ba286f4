/** No credential leaves: marked tokens, proofs and secrets go in by every way, and everything that comes out is searched. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import { expect, test } from 'vitest';
import { sha256 } from '../../src/identity/jwt/digest.ts';
import { manualClock } from '../identity/clock.ts';
import { json, makeKey, signProof, signToken, startIssuer } from '../identity/jwt/test-issuer.ts';
import { ALLOWED, startTestService, temporaryFolder } from './service.ts';

const SECRET = 'canary-introspection-secret-0123456789';
const OPAQUE = 'canary-opaque-token-0123456789-abcdefghij';
const AUDIENCE = 'https://duramen.example';
const URL = 'https://gateway.example/canary-path?canary-query';

test('marked credentials are in no answer, log line, metric, entry or file', async () => {
  const clock = manualClock();
  const key = await makeKey('ES256', 'k1');
  const client = await makeKey('ES256', 'client');
  const issuer = await startIssuer([key.jwk]);
  let introspected = '';
  let opaqueClaims: object = {};
  issuer.handlers.set('/introspect', (_, response, body) => {
    introspected = body;
    json(response, body.includes(OPAQUE) ? { active: true, ...opaqueClaims } : { active: true });
  });
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'client-secret'), SECRET);
  const settings = {
    issuer: issuer.url,
    audiences: [AUDIENCE],
    tenants: ['acme'],
    privateHosts: [issuer.host],
    name: 'sso',
    id: { join: [{ value: 'acme' }, { claim: 'sub' }], separator: '/' },
    introspection: {
      url: `${issuer.url}/introspect`,
      clientId: 'duramen',
      clientSecretFile: join(folder, 'client-secret'),
      opaque: true,
    },
  };
  const service = await startTestService({
    clock,
    filled: true,
    env: { DURAMEN_IDENTITY_ISSUERS: JSON.stringify([settings]), DURAMEN_LOG_LEVEL: 'trace' },
  });
  const pep = await service.makeKey(['pep']);
  const now = Math.floor(clock.now() / 1000);
  const jkt = await calculateJwkThumbprint(client.jwk);
  const base = {
    iss: issuer.url,
    sub: 'alice',
    aud: AUDIENCE,
    iat: now,
    exp: now + 600,
    jti: 'canary-jti',
    client_id: 'app',
  };
  opaqueClaims = { ...base, scope: 'canary-unseen' };
  const token = await signToken(key, { ...base, canary: 'canary-claim', cnf: { jkt } });
  const proof = await signProof(client, {
    jti: 'canary-proof',
    htm: 'POST',
    htu: URL,
    iat: now,
    ath: sha256(token),
  });
  const expired = await signToken(key, { ...base, iat: 1, exp: 2 });
  const dpop = { proof, method: 'POST', url: URL };
  const good = { kind: 'jwt', token, dpop };
  const { action, resource } = ALLOWED;

  const answers: string[] = [];
  const send = async (body: unknown, path = '/decide') => {
    const reply = await service.call('POST', path, { key: pep, body });
    answers.push(reply.text, JSON.stringify([...reply.headers]));
    return reply;
  };
  const first = await send({ action, resource, credential: good });
  expect(first.text).toContain('"decision":"allow"');
  expect(introspected).toContain('token=');
  await send({ action, resource, credential: good });
  const opaque = await send({ action, resource, credential: { kind: 'opaque', token: OPAQUE } });
  expect(opaque.text).toContain('"decision":"allow"');
  await send({ action, resource, credential: { kind: 'opaque', token: `${OPAQUE} x` } });
  await send({
    action,
    resource,
    credential: { kind: 'opaque', token: `${OPAQUE}x`, issuer: OPAQUE.slice(0, 24) },
  });
  await send({ action, resource, credential: { kind: 'jwt', token: OPAQUE } });
  await send({ action, resource, credential: { kind: 'jwt', token: expired } });
  await send({ action, resource, credential: { kind: 'jwt', token: `${token}x` } });
  await send({ action, resource, credential: { kind: 'jwt', token: token.slice(0, -2), dpop } });
  // malformed around the credential: problems name places, never values
  await send({ action, resource, credential: { ...good, kind: token } });
  await send({ action, resource, credential: { ...good, [token.slice(0, 30)]: 1 } });
  await send({ action, resource, credential: token });
  await send({ action, resource, credential: { kind: 'jwt', token: [token] } });
  await send({ action, resource, credential: good, auth: { method: 'x', assurance: 0, scopes: [] } });
  await send({ requests: [{ action, resource, credential: good }, { credential: good }] }, '/decide/batch');
  await send(`{"credential":{"kind":"jwt","token":"${token}"`);
  await service.call('GET', `/v1/models/x?token=${expired}`);

  for (const path of [
    '/metrics',
    '/v1/decisions?limit=1000',
    '/v1/events?limit=1000',
    '/v1/status',
    '/readyz?verbose',
  ]) {
    answers.push((await service.call('GET', path)).text);
  }
  const lines = service.logLines.join('');
  await service.running.close();
  const files = readdirSync(service.folder, { recursive: true, withFileTypes: true })
    .filter(file => file.isFile())
    .map(file => readFileSync(join(file.parentPath, file.name), 'latin1'));
  expect(files.length).toBeGreaterThan(2);
  await service.stop();
  await issuer.stop();
  rmSync(folder, { recursive: true });

  // the parts that differ from one token to the next; a header alone says nothing
  const [, tokenClaims = '', tokenSignature = ''] = token.split('.');
  const [, proofClaims = '', proofSignature = ''] = proof.split('.');
  const [, expiredClaims = '', expiredSignature = ''] = expired.split('.');
  const parts = [tokenClaims, proofClaims, expiredClaims, tokenSignature, proofSignature, expiredSignature];
  const words = 'canary-claim canary-proof canary-path canary-query canary-jti'.split(' ');
  const marks = parts.concat(words, SECRET, OPAQUE).map(mark => mark.slice(0, 24));
  for (const mark of marks) {
    for (const [where, texts] of Object.entries({ answers, lines: [lines], files })) {
      const leaks = texts.filter(text => text.includes(mark)).map(text => text.slice(0, 80));
      expect({ mark, where, leaks }).toEqual({ mark, where, leaks: [] });
    }
  }
});
