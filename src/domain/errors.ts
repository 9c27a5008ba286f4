/**
 * Failures: one error type with a closed set of codes, mapped once to RFC 9457 problem details by
 * edge/http/problem.ts. Outcomes (a deny, a validation report) are values, not errors; bugs are plain Errors.
 */

/** Every failure code with its HTTP status and the title of its problem type. */
export const ERROR_CODES = {
  INVALID_REQUEST: { status: 400, title: 'the request is malformed' },
  CREDENTIAL_REQUIRED: { status: 401, title: 'a valid credential is required' },
  ROLE_REQUIRED: { status: 403, title: 'the credential lacks the role' },
  TENANT_NOT_ALLOWED: { status: 403, title: 'the credential may not act for this tenant' },
  ASSERTION_NOT_ALLOWED: {
    status: 403,
    title: 'the credential may not assert how the principal was authenticated',
  },
  CALLER_NOT_ACCEPTED: { status: 403, title: 'the credential of the caller is not accepted' },
  NOT_FOUND: { status: 404, title: 'there is no such object' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'the method is not allowed here' },
  REQUEST_ID_CONFLICT: { status: 409, title: 'the request id was used with another body' },
  IDEMPOTENCY_CONFLICT: { status: 409, title: 'the idempotency key was used with another request' },
  ACTIVATION_CONFLICT: { status: 409, title: 'another bundle was activated in the meantime' },
  NOTHING_TO_ROLL_BACK: { status: 409, title: 'the layer has no earlier bundle' },
  ALREADY_EXISTS: { status: 409, title: 'the object exists already' },
  PRINCIPAL_EXISTS: { status: 409, title: 'the principal is still in the directory' },
  INPUT_NOT_VERIFIABLE: { status: 409, title: 'the entry has no input that could be verified' },
  NO_OPEN_CALL: { status: 409, title: 'no call of the decision is open' },
  PROFILE_READ_ONLY: { status: 409, title: 'the profile stands in the configuration' },
  CURSOR_EXPIRED: { status: 410, title: 'the query of the cursor is over' },
  LAST_ADMIN_KEY: { status: 409, title: 'the last admin key cannot be revoked' },
  PRECONDITION_FAILED: { status: 412, title: 'the object changed since it was read' },
  PAYLOAD_TOO_LARGE: { status: 413, title: 'the body is too large' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'the content type is not supported' },
  ENTITY_INVALID: { status: 422, title: 'the entity does not fit the schema' },
  PROFILE_INVALID: { status: 422, title: 'the profile of the gateway is not valid' },
  BUNDLE_INVALID: { status: 422, title: 'the bundle is not valid' },
  BUNDLE_TESTS_FAILED: { status: 422, title: 'a test of the bundle failed' },
  SCHEMA_BREAKS_ACTIVE: { status: 422, title: 'the schema breaks what is active' },
  TOO_MANY_FAILED_AUTHENTICATIONS: { status: 429, title: 'too many failed authentications' },
  TOO_MANY_VERIFICATIONS: { status: 429, title: 'too many verifications of inputs' },
  TOO_MANY_ACCESS_QUERIES: { status: 429, title: 'too many queries of access' },
  INTERNAL_ERROR: { status: 500, title: 'an internal error' },
  LOG_UNAVAILABLE: { status: 503, title: 'the decision log cannot be written' },
  LOG_ROLLBACK: { status: 503, title: 'the decision log went back in time' },
  LOG_BACKPRESSURE: { status: 503, title: 'the decision log is busy' },
  STORE_UNAVAILABLE: { status: 503, title: 'the store cannot be written' },
  NOT_READY: { status: 503, title: 'the service is not ready' },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** One thing that is wrong, with its place and, where possible, the fix. */
export interface Problem {
  /** RFC 6901 pointer into the JSON body, or the query parameter as `?name`. */
  readonly pointer?: string;
  readonly file?: string;
  /** 1-based. */
  readonly line?: number;
  /** 1-based, in UTF-16 code units. */
  readonly column?: number;
  /** Lower case, one line, user input in backticks. */
  readonly message: string;
  readonly hint?: string;
}

/** A failure that the caller is told about. `cause` is logged, never sent. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly problems: readonly Problem[];
  /** Seconds for `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    detail: string,
    options: { problems?: readonly Problem[]; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.problems = options.problems ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
