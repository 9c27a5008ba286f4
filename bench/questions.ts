/** Questions of Envoy about chats of 4 KB, as they come over HTTP and over gRPC: the same requests on both. */
import { fileURLToPath } from 'node:url';
import { loadProtos } from '../src/edge/grpc/protos.ts';
import { seeded } from './random.ts';

/** Bytes of a body. */
export const BODY_BYTES = 4096;
export const CHECK_PATH = '/envoy.service.auth.v3.Authorization/Check';
export const CHAT_PATH = '/v1/chat/completions';
const WORDS =
  'the model of a tenant answers questions about orders, refunds and "quoted" parts of long texts\n'.split(
    ' ',
  );

/** Who asks for what. */
export interface Asked {
  readonly principal: string;
  readonly model: string;
}

/** Headers of a client and of its gateway, without those of the connection. */
export function headersOf(): Readonly<Record<string, string>> {
  return {
    'user-agent': 'OpenAI/Python 2.3.0',
    accept: 'application/json',
    'accept-encoding': 'gzip, deflate',
    authorization: 'Bearer sk-0123456789abcdefghijklmnopqrstuvwxyz0123456789',
    'x-stainless-lang': 'python',
    'x-stainless-package-version': '2.3.0',
    'x-stainless-retry-count': '0',
    'x-forwarded-for': '10.1.2.3',
    'x-forwarded-proto': 'https',
    'x-request-id': '6f2f3c52-0b6e-4a3c-9a53-5d5d4a1c2b3e',
  };
}

/** A chat of about `bytes` bytes, different for each `turn`. */
export function chatOf({ model }: Pick<Asked, 'model'>, turn: number, bytes = BODY_BYTES): string {
  const random = seeded(turn + 1);
  const messages: { role: string; content: string }[] = [{ role: 'system', content: 'You help customers.' }];
  const head = { model, temperature: 0.7, max_tokens: 256, stream: turn % 2 === 0, user: `u${turn}` };
  let size = JSON.stringify({ ...head, messages }).length;
  while (size < bytes) {
    const count = Math.min(80, Math.ceil((bytes - size) / 6));
    const words = Array.from({ length: count }, () => WORDS[Math.floor(random() * WORDS.length)]);
    messages.push({ role: messages.length % 2 === 1 ? 'user' : 'assistant', content: words.join(' ') });
    size = JSON.stringify({ ...head, messages }).length;
  }
  return JSON.stringify({ ...head, messages });
}

/** Encodes CheckRequests as Envoy writes them with `pack_as_bytes`. */
export function checkEncoder(profile: string): (asked: Asked, body: string) => Buffer {
  const { check } = loadProtos(fileURLToPath(new URL('../schema/protos', import.meta.url)));
  return (asked, body) =>
    check.requestSerialize({
      attributes: {
        source: { principal: 'spiffe://cluster.local/ns/clients/sa/app' },
        context_extensions: { duramen_profile: profile },
        request: {
          http: {
            id: '1234567890',
            method: 'POST',
            path: CHAT_PATH,
            host: 'llm.example',
            size: Buffer.byteLength(body),
            headers: {
              ':method': 'POST',
              ':path': CHAT_PATH,
              ':authority': 'llm.example',
              ':scheme': 'https',
              'content-type': 'application/json',
              'content-length': String(Buffer.byteLength(body)),
              'x-envoy-auth-partial-body': 'false',
              ...headersOf(),
              'x-user': asked.principal,
            },
            raw_body: Buffer.from(body),
          },
        },
      },
    });
}
