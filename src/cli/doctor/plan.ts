/** What the doctor is told of a gateway, and the requests that are made of it. */
import type { RawRequest } from './raw-client.ts';

/** What is known of the gateway. */
export interface Plan {
  /** Of a request that is allowed. */
  readonly path: string;
  readonly body: string;
  /** Model that it names; a body that names another beside it must be refused. */
  readonly model: string;
  /** `Authorization` of a caller who may make it; undefined: nobody's was given. */
  readonly authorization: string | undefined;
  /** Headers by which the gateway names callers, beside the usual ones. */
  readonly identityHeaders: readonly string[];
  /** Largest body that the profile takes. */
  readonly maxBodyBytes: number;
}

export type Headers = RawRequest['headers'];

/** A request that is allowed, for which the service is not there. */
export function allowedRequest(plan: Plan): RawRequest {
  return requestOf(plan.path, plan.body, ownHeaders(plan));
}

export function requestOf(target: string, body: string | Buffer, headers: Headers = []): RawRequest {
  return {
    method: 'POST',
    target,
    headers: [['Content-Type', 'application/json'], ...headers],
    body: Buffer.from(body),
  };
}

export function ownHeaders({ authorization }: Plan): Headers {
  return authorization === undefined ? [] : [['Authorization', authorization]];
}
