/**
 * Bytes to CheckRequest and CheckResponse to bytes. Invariant: no bytes leave that a reader could take for
 * another answer. In proto3 a missing code is 0, and 0 allows; so every answer is decoded again after encoding,
 * must have the shape of what was decided, and must be equal to it.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  type AllowResponse,
  allowSchema,
  type CheckAttributes,
  checkRequestSchema,
  type DenyResponse,
  denySchema,
} from './check-messages.ts';
import type { Protos } from './protos.ts';

const NO_ATTRIBUTES: CheckAttributes = { context_extensions: {} };

export class CheckCodec {
  readonly #check: Protos['check'];

  constructor(check: Protos['check']) {
    this.#check = check;
  }

  /** @returns undefined when the bytes are no CheckRequest. */
  decodeRequest(bytes: Buffer): CheckAttributes | undefined {
    let decoded: unknown;
    try {
      decoded = this.#check.requestDeserialize(bytes);
    } catch {
      return undefined;
    }
    const parsed = checkRequestSchema.safeParse(decoded);
    return parsed.success ? (parsed.data.attributes ?? NO_ATTRIBUTES) : undefined;
  }

  /** @throws Error when the bytes would say anything else than `response`. */
  encodeAllow(response: AllowResponse): Buffer {
    return this.#encode(response, allowSchema);
  }

  /** @throws Error when the bytes would say anything else than `response`. */
  encodeDeny(response: DenyResponse): Buffer {
    return this.#encode(response, denySchema);
  }

  #encode(response: object, shape: typeof allowSchema | typeof denySchema): Buffer {
    const bytes = this.#check.responseSerialize(response);
    const decoded = this.#decodeResponse(bytes);
    if (!shape.safeParse(decoded).success || !isDeepStrictEqual(decoded, response)) {
      throw new Error('a CheckResponse says something else after encoding');
    }
    return bytes;
  }

  #decodeResponse(bytes: Buffer): unknown {
    try {
      return this.#check.responseDeserialize(bytes);
    } catch {
      return undefined;
    }
  }
}
