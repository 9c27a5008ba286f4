/** Ends the walk of one request with a deny that no policy was asked about; caught where it is answered. */
import type { Refusal } from '../../pdp/engine.ts';

export class RequestDenied extends Error {
  readonly refusal: Refusal;
  constructor(code: Refusal['code'], message: string) {
    super(message);
    this.name = 'RequestDenied';
    this.refusal = { code, message };
  }
}

/** @throws RequestDenied */
export function deny(code: Refusal['code'], message: string): never {
  throw new RequestDenied(code, message);
}
