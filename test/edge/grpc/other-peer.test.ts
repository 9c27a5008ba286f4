/**
 * The listener and its protos judged by another implementation of both: gRPC's C core and protobuf's own compiler,
 * from Debian packages. What is not installed is skipped and said so; under CI it fails.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ASSERTS, chatOf } from '../ext-authz/asking.ts';
import { checkRequest } from './envoy.ts';
import { askByPeer, peerRunsHere, PROTO_FILE, protoc, writeDescriptors } from './other-peer.ts';
import { CHAT, type CheckScene, startCheckScene } from './scene.ts';

let folder: string;
let scene: CheckScene;

describe.runIf(peerRunsHere())('another implementation of gRPC and protobuf', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'duramen-peer-'));
    scene = await startCheckScene([
      { name: 'envoy', kind: 'envoy', identity: ASSERTS, dialects: ['openai'], body: 'whole' },
    ]);
    writeDescriptors(join(folder, 'set'));
  });
  afterAll(async () => {
    await scene.stop();
    rmSync(folder, { recursive: true });
  });

  const request = (model: string) => ({
    attributes: {
      context_extensions: { duramen_profile: 'envoy' },
      request: {
        http: {
          method: 'POST',
          path: CHAT,
          host: 'llm.example',
          headers: { 'content-type': 'application/json', 'x-user': 'acme/alice' },
          raw_body: Buffer.from(chatOf(model)).toString('base64'),
        },
      },
    },
  });
  const proof = () => ({ authorization: `Bearer ${scene.key}` });

  test('is understood, and understands', async () => {
    const [allow, deny, packed, stranger] = await askByPeer(scene.address, join(folder, 'set'), [
      { request: request('acme/support-llm'), metadata: proof() },
      { request: request('globex/demand'), metadata: proof() },
      { request: request('acme/support-llm'), metadata: proof(), gzip: true },
      { request: request('acme/support-llm'), metadata: {} },
    ]);
    expect(allow).toMatchObject({ code: 0, kind: 'ok_response' });
    expect(allow?.response?.ok_response?.headers_to_remove).toContain('x-duramen-tool');
    expect(allow?.response?.dynamic_metadata).toMatchObject({ decision: 'allow', model: 'acme/support-llm' });
    expect(packed).toMatchObject({ code: 0, kind: 'ok_response' });
    expect(deny).toMatchObject({ code: 7, kind: 'denied_response' });
    expect(deny?.response?.denied_response).toMatchObject({ status: { code: 403 } });
    expect(deny?.response?.denied_response?.body).toContain('FORBIDDEN_BY_POLICY');
    expect(deny?.response?.dynamic_metadata).toMatchObject({ reason: 'FORBIDDEN_BY_POLICY' });
    expect(stranger).toEqual({ error: 'UNAUTHENTICATED' });
  });

  test('gets its own answer to each of many calls at once', async () => {
    const models = Array.from({ length: 200 }, (_, at) =>
      at % 3 === 0 ? 'globex/demand' : 'acme/support-llm',
    );
    const answers = await askByPeer(
      scene.address,
      join(folder, 'set'),
      models.map(model => ({ request: request(model), metadata: proof() })),
    );
    expect(answers.map(({ code }) => code)).toEqual(models.map(model => (model === 'globex/demand' ? 7 : 0)));
  });

  test('reads the bytes that the other tests write by hand', () => {
    const bytes = checkRequest({ path: '/a?b', headers: [['x', 'y']], body: '{"model":"m"}', form: 'list' });
    const { status, stdout } = protoc(['--decode=envoy.service.auth.v3.CheckRequest', PROTO_FILE], bytes);
    expect(status).toBe(0);
    expect(String(stdout)).toContain('path: "/a?b"');
    expect(String(stdout)).toContain('raw_value: "y"');
    expect(String(stdout)).toContain(String.raw`body: "{\"model\":\"m\"}"`);
  });
});
