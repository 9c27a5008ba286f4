/** gRPC's C core and protobuf's own compiler, from Debian packages. */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { z } from 'zod';

// the system's own: another one has no packages of the system
const PYTHON = '/usr/bin/python3';
const PROTOC = '/usr/bin/protoc';
const PROTOS = join(import.meta.dirname, '../../../schema/protos');
export const PROTO_FILE = 'envoy/service/auth/v3/external_auth.proto';

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

/** Whether they are installed. What is not is said, and under CI an error. */
export function peerRunsHere(): boolean {
  const hasGrpc = spawnSync(PYTHON, ['-c', 'import grpc, google.protobuf']).status === 0;
  if (hasGrpc && spawnSync(PROTOC, ['--version']).status === 0) return true;
  const missing = 'python3-grpcio, python3-protobuf, protobuf-compiler and libprotobuf-dev';
  if (process.env['CI'] === 'true') throw new Error(`gRPC must be tested with ${missing}`);
  process.stderr.write(`skipped the tests of gRPC with another implementation: they need ${missing}\n`);
  return false;
}

export function protoc(options: readonly string[], input?: Buffer): ReturnType<typeof spawnSync> {
  return spawnSync(PROTOC, [`-I${PROTOS}`, ...options], input === undefined ? {} : { input });
}

/** Writes what the peer needs to know of the messages. */
export function writeDescriptors(file: string): void {
  const { status, stderr } = protoc(['--include_imports', `--descriptor_set_out=${file}`, PROTO_FILE]);
  if (status !== 0) throw new Error(String(stderr));
}

/** @param files for TLS: CA, certificate and key of the peer. */
export function askByPeer(
  address: string,
  descriptors: string,
  checks: readonly unknown[],
  files: readonly string[] = [],
): Promise<z.output<typeof answersSchema>> {
  const child = spawn(PYTHON, [join(import.meta.dirname, 'peer.py'), address, descriptors, ...files]);
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
