/** What each failure means and what to do about it: the pages behind the `type` of a problem. */
import type { ErrorCode } from '../../domain/errors.ts';

/** For people: cause and remedy, one or two sentences each. */
export interface ProblemPage {
  readonly meaning: string;
  readonly remedy: string;
}

export const PROBLEM_PAGES: Readonly<Record<ErrorCode, ProblemPage>> = {
  INVALID_REQUEST: {
    meaning:
      'The request could not be read: its body, path, query or headers do not have the documented form.',
    remedy:
      '`errors` lists every problem with a pointer into the body or the name of the parameter. Correct them all.',
  },
  CREDENTIAL_REQUIRED: {
    meaning: 'The request has no credential, or one that is mistyped, unknown, expired or revoked.',
    remedy: 'Send `Authorization: Bearer dmn_…` with a key from POST /v1/keys.',
  },
  ROLE_REQUIRED: {
    meaning:
      'The credential is valid, but lacks the role or the rights that this operation needs, or a policy of the control plane forbids it.',
    remedy:
      'Use a key with the role that `detail` names. `errors` names the policy, where one forbids the call.',
  },
  TENANT_NOT_ALLOWED: {
    meaning: 'The credential is limited to tenants, and the request concerns another one.',
    remedy: 'Use a key for that tenant, or name a tenant of this key.',
  },
  ASSERTION_NOT_ALLOWED: {
    meaning: 'The request says how the principal was authenticated, and this key may not assert that.',
    remedy: 'Leave `auth` out, or use a key made with `"mayAssert": true`.',
  },
  CALLER_NOT_ACCEPTED: {
    meaning: 'The credential of the caller that the gateway forwards does not let the caller do this.',
    remedy: "Forward another credential of the caller; the gateway's own key is not at fault.",
  },
  NOT_FOUND: {
    meaning: 'There is no such object or route, or this credential may not know of it.',
    remedy: 'Check the id and its percent-encoding: a slash in an id is `%2F`.',
  },
  METHOD_NOT_ALLOWED: {
    meaning: 'The path exists, but does not take this method.',
    remedy: 'The `Allow` header lists the methods.',
  },
  REQUEST_ID_CONFLICT: {
    meaning: 'The `requestId` was used within the last five minutes for a different request.',
    remedy: 'Use a new id for each request, and the same one only to repeat a request unchanged.',
  },
  IDEMPOTENCY_CONFLICT: {
    meaning: 'The `Idempotency-Key` belongs to another request, or its first use is still running.',
    remedy: 'Use a new key for a new request; wait and repeat when the first is running.',
  },
  ACTIVATION_CONFLICT: {
    meaning: 'Another bundle became active since `expectedActive` was read. Nothing was changed.',
    remedy: 'Read GET /v1/layers, decide whether the activation is still right, and repeat it.',
  },
  NOTHING_TO_ROLL_BACK: {
    meaning: 'The layer had no other bundle before the active one.',
    remedy: 'Push and activate the bundle that should decide.',
  },
  ALREADY_EXISTS: {
    meaning: 'An object with this id exists.',
    remedy: 'Use another id, or change the existing object.',
  },
  PRINCIPAL_EXISTS: {
    meaning: 'Only a principal that the directory no longer has can be erased. Nothing was changed.',
    remedy: 'Delete the principal first, or send `"deleteEntity": true`.',
  },
  INPUT_NOT_VERIFIABLE: {
    meaning:
      'The decision was made without a hash of its input, or the key of its digest was destroyed with its month.',
    remedy: 'Nothing can be verified for this entry any more: no answer would mean anything.',
  },
  NO_OPEN_CALL: {
    meaning:
      'The decision was a deny or was only tried out, its outcome was reported, or what it held has expired: there is nothing to extend or to settle.',
    remedy: 'Ask for a new decision before the call goes on.',
  },
  PROFILE_READ_ONLY: {
    meaning:
      'A profile of this name stands in the configuration of the service, which the API does not change.',
    remedy: 'Change `pepProfiles` in the configuration and restart, or choose another name.',
  },
  CURSOR_EXPIRED: {
    meaning:
      'The pages of a query are read from one state of directory and policies, and that of this cursor is not kept any more.',
    remedy: 'Start again without a cursor, and follow the pages without long pauses.',
  },
  LAST_ADMIN_KEY: {
    meaning: 'Without this key nobody could make keys any more, so it was not revoked.',
    remedy: 'Make another key with the role `admin` first.',
  },
  PRECONDITION_FAILED: {
    meaning:
      'The object is not in the state that `If-Match` or `If-None-Match` asked for. Nothing was changed.',
    remedy: 'Read the object, look at the new `ETag`, and repeat the change.',
  },
  PAYLOAD_TOO_LARGE: {
    meaning: 'The body is larger than this route takes.',
    remedy: 'Send less at a time. docs/configuration.md lists the limits.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    meaning: 'The `Content-Type`, charset or `Content-Encoding` is not one that this route reads.',
    remedy: 'Send the type that `detail` names, as UTF-8 and uncompressed.',
  },
  ENTITY_INVALID: {
    meaning: 'The entity does not fit the active schema. Nothing was changed.',
    remedy: '`errors` lists every attribute, tag and parent that does not fit.',
  },
  PROFILE_INVALID: {
    meaning:
      'The profile has fields that are not known, not allowed, or at odds with each other. Nothing was changed.',
    remedy: '`errors` lists every one with its place. docs/gateways.md describes the fields.',
  },
  BUNDLE_INVALID: {
    meaning: 'The bundle has faults in its layout, syntax or types. Nothing was changed.',
    remedy: '`errors` lists every fault with file, line and column.',
  },
  BUNDLE_TESTS_FAILED: {
    meaning:
      'The bundle is valid, but a test that it carries did not come out as expected. Nothing was changed.',
    remedy: '`errors` lists the failed cases with what was expected and what was decided.',
  },
  SCHEMA_BREAKS_ACTIVE: {
    meaning:
      'The new schema does not fit the entities or tenant bundles that are in force. Nothing was changed.',
    remedy: '`errors` lists what would break. Change it first, or keep the schema compatible.',
  },
  TOO_MANY_FAILED_AUTHENTICATIONS: {
    meaning: 'Too many requests without a valid credential came from this address.',
    remedy: 'Wait as long as `Retry-After` says. Requests with a valid key are not affected.',
  },
  TOO_MANY_VERIFICATIONS: {
    meaning:
      'This credential verified more inputs within a minute than an auditor needs to, and guessing does.',
    remedy: 'Wait as long as `Retry-After` says.',
  },
  TOO_MANY_ACCESS_QUERIES: {
    meaning: 'Who may do what is computed for each query, and this key, or all together, asked too often.',
    remedy: 'Wait for `Retry-After`. Follow `nextCursor` instead of asking again.',
  },
  INTERNAL_ERROR: {
    meaning: 'The service failed in a way that it did not foresee. The request may be repeated.',
    remedy: 'Report the `requestId`: the log of the service has the cause under it.',
  },
  LOG_UNAVAILABLE: {
    meaning: 'The decision log could not be written, so nothing was decided: no answer leaves unlogged.',
    remedy: 'Check disk space and permissions of the data folder, and the log of the service.',
  },
  LOG_ROLLBACK: {
    meaning:
      'The decision log is older than a checkpoint of it that was published, or contradicts it: entries are missing.',
    remedy:
      'Restore the newest copy of the log. If it is lost, `duramen log open-new --data DIR --reason TEXT` begins a new log that records why.',
  },
  LOG_BACKPRESSURE: {
    meaning: 'More decisions are waiting for the disk than the queue holds, so this one was refused.',
    remedy: 'Repeat after `Retry-After`. If it persists, the disk is too slow for the load.',
  },
  STORE_UNAVAILABLE: {
    meaning: 'The store could not be written. Nothing was changed.',
    remedy: 'Check disk space and permissions of the data folder, then repeat.',
  },
  NOT_READY: {
    meaning: 'The service is starting, stopping, or has no active platform bundle yet.',
    remedy:
      'GET /readyz?verbose says what is missing. A platform bundle is pushed with POST /v1/bundles?activate=true.',
  },
};
