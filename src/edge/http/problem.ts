/**
 * Failures as RFC 9457 problem details: the one place where an error becomes an answer. Invariant: causes,
 * stacks and messages of unexpected errors stay inside; a caller sees what an AppError says and nothing else.
 */
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

/** The code of a slug; undefined when there is none. */
export function problemCode(slug: string): ErrorCode | undefined {
  return errorCodes().find(code => problemSlug(code) === slug);
}

/** Every code, in the order of the table. */
export function errorCodes(): readonly ErrorCode[] {
  return Object.keys(ERROR_CODES).filter(isErrorCode);
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CODES, code);
}

/** Whether the caller did nothing wrong: such errors are logged with their cause. */
export function isServerFault(error: unknown): boolean {
  return !(error instanceof AppError) || error.status >= 500;
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
