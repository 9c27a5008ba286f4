/**
 * The listener and its protos judged by another implementation of both: gRPC's C core and protobuf's own compiler,
 * from Debian packages. What is not installed is skipped and said so; under CI it fails.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ASSERTS, chatOf } from '../ext-authz/asking.ts';
import { checkRequest } from './envoy.ts';
import { CHAT, type CheckScene, startCheckScene } from './scene.ts';

// the system's own: another one has no packages of the system
const PYTHON = '/usr/bin/python3';
const PROTOC = '/usr/bin/protoc';
const PROTOS = join(import.meta.dirname, '../../../schema/protos');
const FILE = 'envoy/service/auth/v3/external_auth.proto';

const answersSchema = z.array(
  z.looseObject({
    error: z.string().optional(),
    code: z.int().optional(),
    kind: z.string().optional(),
    response: z
      .looseObject({
        ok_response: z.looseObject({ headers_to_remove: z.array(z.string()) }).optional(),
        denied_response: z.looseObject({ body: z.string() }).optional(),
        dynamic_metadata: z.unknown(),
      })
      .optional(),
  }),
);

let folder: string;
let scene: CheckScene;

function runsHere(): boolean {
  const hasGrpc = spawnSync(PYTHON, ['-c', 'import grpc, google.protobuf']).status === 0;
  if (hasGrpc && spawnSync(PROTOC, ['--version']).status === 0) return true;
  const missing = 'python3-grpcio, python3-protobuf, protobuf-compiler and libprotobuf-dev';
  if (process.env['CI'] === 'true') throw new Error(`gRPC must be tested with ${missing}`);
  process.stderr.write(`skipped the tests of gRPC with another implementation: they need ${missing}\n`);
  return false;
}

describe.runIf(runsHere())('another implementation of gRPC and protobuf', () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'duramen-peer-'));
    scene = await startCheckScene([
      { name: 'envoy', kind: 'envoy', identity: ASSERTS, dialects: ['openai'], body: 'whole' },
    ]);
    const { status, stderr } = protoc([
      '--include_imports',
      `--descriptor_set_out=${join(folder, 'set')}`,
      FILE,
    ]);
    if (status !== 0) throw new Error(String(stderr));
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
    const [allow, deny, packed, stranger] = await ask([
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
    const answers = await ask(models.map(model => ({ request: request(model), metadata: proof() })));
    expect(answers.map(({ code }) => code)).toEqual(models.map(model => (model === 'globex/demand' ? 7 : 0)));
  });

  test('reads the bytes that the other tests write by hand', () => {
    const bytes = checkRequest({ path: '/a?b', headers: [['x', 'y']], body: '{"model":"m"}', form: 'list' });
    const { status, stdout } = protoc(['--decode=envoy.service.auth.v3.CheckRequest', FILE], bytes);
    expect(status).toBe(0);
    expect(String(stdout)).toContain('path: "/a?b"');
    expect(String(stdout)).toContain('raw_value: "y"');
    expect(String(stdout)).toContain(String.raw`body: "{\"model\":\"m\"}"`);
  });

  function protoc(options: readonly string[], input?: Buffer): ReturnType<typeof spawnSync> {
    return spawnSync(PROTOC, [`-I${PROTOS}`, ...options], input === undefined ? {} : { input });
  }

  function ask(checks: readonly unknown[]): Promise<z.output<typeof answersSchema>> {
    const child = spawn(PYTHON, [join(import.meta.dirname, 'peer.py'), scene.address, join(folder, 'set')]);
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    child.stdin.end(JSON.stringify(checks));
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', code => {
        if (code === 0) resolve(answersSchema.parse(JSON.parse(Buffer.concat(output).toString())));
        else reject(new Error(Buffer.concat(errors).toString()));
      });
    });
  }
});
