/** How a check that cannot be answered ends. Invariant: as an error of the call, never as an answer. */
import { status as grpcStatus } from '@grpc/grpc-js';
import { AppError, type ErrorCode } from '../../domain/errors.ts';

/** Code and text of a call's end. */
export interface CallFailure {
  readonly code: Exclude<grpcStatus, grpcStatus.OK>;
  readonly details: string;
}

const CODES: Readonly<Partial<Record<ErrorCode, CallFailure['code']>>> = {
  INVALID_REQUEST: grpcStatus.INVALID_ARGUMENT,
  CREDENTIAL_REQUIRED: grpcStatus.UNAUTHENTICATED,
  ROLE_REQUIRED: grpcStatus.PERMISSION_DENIED,
  TENANT_NOT_ALLOWED: grpcStatus.PERMISSION_DENIED,
  ASSERTION_NOT_ALLOWED: grpcStatus.PERMISSION_DENIED,
  NOT_FOUND: grpcStatus.NOT_FOUND,
  TOO_MANY_FAILED_AUTHENTICATIONS: grpcStatus.RESOURCE_EXHAUSTED,
  INTERNAL_ERROR: grpcStatus.INTERNAL,
};
/** What a trailer may hold: printable ASCII. */
const UNPRINTABLE = /[^\x20-\x7e]/g;

/** What was thrown, as the end of a call: what is not foreseen says nothing of itself. */
export function failureOf(error: unknown): CallFailure {
  if (!(error instanceof AppError)) {
    return { code: grpcStatus.INTERNAL, details: 'INTERNAL_ERROR: the decision failed inside the service' };
  }
  const code = CODES[error.code] ?? grpcStatus.UNAVAILABLE;
  const text = `${error.code}: ${error.message}`.replaceAll('…', '...');
  return { code, details: text.replaceAll(UNPRINTABLE, '?') };
}
