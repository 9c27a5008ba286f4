/** A service with gateway profiles, and questions to it as gateways send them: byte for byte, any method. */
import { request as httpRequest } from 'node:http';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { startTestService, type TestService } from '../service.ts';

export interface GatewayReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface Question {
  readonly method?: string;
  readonly path: string;
  /** Pairs keep duplicates. */
  readonly headers?: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  readonly body?: string | Uint8Array;
}

/** Sends a question as it is: no normalisation of the path, no header that was not given but `Host`. */
export function ask(
  url: string,
  { method = 'POST', path, headers = {}, body }: Question,
): Promise<GatewayReply> {
  const { hostname, port } = new URL(url);
  const pairs: readonly (readonly [string, string])[] = isPairs(headers) ? headers : Object.entries(headers);
  const raw = pairs.flatMap(([name, value]) => [name, value]);
  const hasHost = pairs.some(([name]) => name.toLowerCase() === 'host');
  const length = body === undefined ? [] : ['content-length', String(Buffer.byteLength(body))];
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      {
        hostname,
        port,
        method,
        path,
        setHost: false,
        headers: [...(hasHost ? [] : ['host', 'llm.example']), ...length, ...raw],
      },
      incoming => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () =>
          resolve({
            status: incoming.statusCode ?? 0,
            headers: Object.fromEntries(
              Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]),
            ),
            text: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function isPairs(
  headers: NonNullable<Question['headers']>,
): headers is readonly (readonly [string, string])[] {
  return Array.isArray(headers);
}

/** Who asks, in the tests: a gateway that names its callers in `x-user`. */
export const ASSERTS = {
  mode: 'assert',
  principal: 'x-user',
  method: 'gateway',
  assurance: 1,
} as const;

/** A filled service with these profiles. */
export async function startWithProfiles(profiles: readonly PepProfileInput[]): Promise<TestService> {
  return startTestService({ env: { DURAMEN_PEP_PROFILES: JSON.stringify(profiles) }, filled: true });
}

/** A chat of a user with a model. */
export function chatOf(model: string, extra: object = {}): string {
  return JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 50, ...extra });
}
