/**
 * Failures as RFC 9457 problem details: the one place where an error becomes an answer. Invariant: causes,
 * stacks and messages of unexpected errors stay inside; a caller sees what an AppError says and nothing else.
 */
import type { Logger } from '../../telemetry/logger.ts';
import { AppError, ERROR_CODES, type ErrorCode, type Problem } from '../../domain/errors.ts';

export const PROBLEM_TYPE = 'application/problem+json';
/** The challenge of 401 (RFC 6750 §3). */
const CHALLENGE = 'Bearer realm="duramen"';

/** The body of every error. */
export interface ProblemDetails {
  /** Path of this service with an explanation: `/problems/invalid-request`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
  readonly errors: readonly Problem[];
  readonly requestId: string;
}

/** A problem ready to be sent. */
export interface ProblemAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: ProblemDetails;
}

/** `INVALID_REQUEST` → `invalid-request`. */
export function problemSlug(code: ErrorCode): string {
  return code.toLowerCase().replaceAll('_', '-');
}

/** The code of a slug, or of itself as problems have it in `code`; undefined when there is none. */
export function problemCode(name: string): ErrorCode | undefined {
  return errorCodes().find(code => problemSlug(code) === name || code === name);
}

/** Every code, in the order of the table. */
export function errorCodes(): readonly ErrorCode[] {
  return Object.keys(ERROR_CODES).filter(isErrorCode);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

/**
 * Writes a failed request to the service's log: what a caller did wrong as information, what the service could
 * not do as a warning, and what nobody foresaw as an error with its stack.
 */
export function logFailure(logger: Logger, error: unknown, fields: Readonly<Record<string, unknown>>): void {
  if (!(error instanceof AppError)) logger.error({ ...fields, err: error }, 'request failed');
  else {
    const { code, message, status, cause } = error;
    const about = { ...fields, code, detail: message };
    if (status < 500) logger.info(about, 'request refused');
    else logger.warn(cause === undefined ? about : { ...about, err: cause }, 'request not served');
  }
}

/** What is answered when `error` was thrown while serving the request `requestId`. */
export function problemOf(error: unknown, requestId: string): ProblemAnswer {
  const failure =
    error instanceof AppError
      ? error
      : new AppError('INTERNAL_ERROR', 'the request failed inside the service; its log names the request id');
  const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' };
  if (failure.retryAfterSeconds !== undefined) headers['retry-after'] = String(failure.retryAfterSeconds);
  else if (failure.status === 503) headers['retry-after'] = '1';
  if (failure.status === 401) headers['www-authenticate'] = CHALLENGE;
  return { status: failure.status, headers, body: problemDetails(failure, requestId) };
}

function problemDetails(failure: AppError, requestId: string): ProblemDetails {
  const { code, message, problems, status } = failure;
  return {
    type: `/problems/${problemSlug(code)}`,
    title: ERROR_CODES[code].title,
    status,
    code,
    detail: message,
    errors: problems,
    requestId,
  };
}
