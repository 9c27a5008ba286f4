/**
 * Bytes to CheckRequest and CheckResponse to bytes. Invariant: no bytes leave that a reader could take for
 * another answer. In proto3 a missing code is 0, and 0 allows; so every answer is decoded again after encoding, by
 * another implementation, must have the shape of what was decided, and must be equal to it.
 */
import { encodeCheckResponse } from './check-encoder.ts';
import {
  type AllowResponse,
  type CheckAttributes,
  type DenyResponse,
  isAllow,
  isDeny,
  NotACheck,
  readCheckRequest,
} from './check-messages.ts';
import type { Protos } from './protos.ts';

export class CheckCodec {
  readonly #check: Pick<Protos['check'], 'requestDeserialize' | 'responseDeserialize'>;
  readonly #write: typeof encodeCheckResponse;

  /** @param write makes the bytes of an answer, whatever it does. */
  constructor(
    check: Pick<Protos['check'], 'requestDeserialize' | 'responseDeserialize'>,
    write = encodeCheckResponse,
  ) {
    this.#check = check;
    this.#write = write;
  }

  /** @returns undefined when the bytes are no CheckRequest. */
  decodeRequest(bytes: Buffer): CheckAttributes | undefined {
    let decoded: unknown;
    try {
      decoded = this.#check.requestDeserialize(bytes);
    } catch {
      return undefined;
    }
    try {
      return readCheckRequest(decoded);
    } catch (error) {
      if (error instanceof NotACheck) return undefined;
      throw error;
    }
  }

  /** @throws Error when the bytes would say anything else than `response`. */
  encodeAllow(response: AllowResponse): Buffer {
    return this.#encode(response, isAllow);
  }

  /** @throws Error when the bytes would say anything else than `response`. */
  encodeDeny(response: DenyResponse): Buffer {
    return this.#encode(response, isDeny);
  }

  #encode(response: AllowResponse | DenyResponse, hasShape: (decoded: unknown) => boolean): Buffer {
    const bytes = this.#write(response);
    const decoded = this.#decodeResponse(bytes);
    if (!hasShape(decoded) || !isSame(decoded, response)) {
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

/** Whether two messages of plain objects, lists and scalars are equal, member by member. */
function isSame(one: unknown, other: unknown): boolean {
  if (Array.isArray(one)) {
    if (!Array.isArray(other) || one.length !== other.length) return false;
    return one.every((item, at) => isSame(item, other[at]));
  }
  if (!isMessage(one) || !isMessage(other) || Array.isArray(other)) return Object.is(one, other);
  let names = 0;
  for (const name in one) {
    if (!Object.hasOwn(other, name) || !isSame(one[name], other[name])) return false;
    names += 1;
  }
  for (const _name in other) names -= 1;
  return names === 0;
}

function isMessage(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
