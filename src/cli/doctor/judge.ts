/**
 * What the answer of a gateway proves. Invariants: a pass needs proof: a reason code of Duramen, or an upstream that got
 * nothing while it got what is allowed; whatever gets through that must not is a failure, whoever answered.
 */
import { REASON_CODES } from '../../domain/reason.ts';
import type { RawAnswer } from './raw-client.ts';
import type { Expectation, Forwarded, Outcome, Seen } from './probe.ts';

/** The value that spoofed headers carry. It names nobody. */
export const SPOOFED = 'nobody/duramen-doctor';

/** Reasons that are given before anybody is identified. */
const BEFORE_IDENTITY: ReadonlySet<string> = new Set([
  'UNAUTHENTICATED',
  'CREDENTIAL_EXPIRED',
  'CREDENTIAL_REVOKED',
  'INPUT_REJECTED',
  'UNKNOWN_TENANT',
]);
/** Reasons that say nothing of the request: others came before it. */
const OF_LIMITS: ReadonlySet<string> = new Set([
  'RATE_LIMITED',
  'BUDGET_EXHAUSTED',
  'CONCURRENCY_LIMITED',
  'PENALTY_BLOCKED',
  'OVERLOADED',
]);
const KNOWN: ReadonlySet<string> = new Set(REASON_CODES);
const WORDS = /\b[A-Z]+(?:_[A-Z]+)*\b/g;

/** What is known besides the answer. */
export interface Grounds {
  /** Whether a request that is allowed got through. undefined: none was sent. */
  readonly controlPassed: boolean | undefined;
  /** What the upstream got of it. */
  readonly control: Forwarded | undefined;
  /** The path of the API, as it is to be forwarded. */
  readonly path: string;
}

export interface Judgement {
  readonly outcome: Outcome;
  readonly meaning: string;
}

/** The reason code of an answer: in its header, else in its body. */
export function reasonOf({ headers, body }: RawAnswer): string | undefined {
  const given = headers.get('x-duramen-reason') ?? '';
  if (KNOWN.has(given)) return given;
  return body.match(WORDS)?.find(word => KNOWN.has(word) && word.includes('_')) ?? unauthenticated(body);
}

/** The one code without an underscore that a client meets: only where the body gives it as a code. */
function unauthenticated(body: string): string | undefined {
  return /"(?:code|status)": ?"UNAUTHENTICATED"|UNAUTHENTICATED: /.test(body) ? 'UNAUTHENTICATED' : undefined;
}

export function judge(expects: Expectation, seen: Seen, grounds: Grounds): Judgement {
  const passed = hasPassed(seen);
  if (expects === 'passes') return judgeControl(passed, seen, grounds);
  if (passed) return judgePassed(expects, seen, grounds);
  const { reason, received, status } = seen;
  if (reason !== undefined) return judgeReason(expects, reason);
  if (received === null && grounds.controlPassed === true) return pass('nothing reached the upstream');
  if (status === undefined) return inconclusive('there was no answer');
  return inconclusive(
    status >= 500
      ? 'it was refused with an error, which may be that of the upstream'
      : 'it was refused, and the answer does not say by whom',
  );
}

function judgeControl(passed: boolean, { received }: Seen, { path }: Grounds): Judgement {
  if (!passed) return fail('what should be allowed does not get through, so that refusals prove nothing');
  const target = received?.target ?? path;
  // another prefix is a matter of routing; another encoding is another path for some servers
  return target !== path && decoded(target) === decoded(path)
    ? fail(`it was forwarded as \`${target.slice(0, 120)}\`, not as it was decided`)
    : pass('what is allowed gets through');
}

function decoded(target: string): string {
  try {
    return decodeURIComponent(target);
  } catch {
    return target;
  }
}

/** Whether the models got the request, or the client an answer of theirs. */
function hasPassed({ status, received }: Seen): boolean {
  if (received !== undefined) return received !== null;
  return status !== undefined && status < 400;
}

function judgePassed(expects: Expectation, { received }: Seen, grounds: Grounds): Judgement {
  if (expects === 'unmoved') {
    const [before, now] = [grounds.control, received].map(one =>
      one?.headers.get('x-duramen-principal')?.join(),
    );
    if (received === undefined || received === null) return pass('it was decided as for the caller');
    return before === now
      ? pass('it was decided as for the caller')
      : fail('the upstream was told another principal');
  }
  if (expects === 'stripped') {
    if (received === undefined || received === null) {
      return inconclusive('it got through; whether the header did, only the upstream knows');
    }
    return [...received.headers].some(([, values]) => values.some(value => value.includes(SPOOFED)))
      ? fail('the upstream got the header of the client')
      : pass('the upstream got none of it');
  }
  if (expects === 'same-path') {
    if (received === undefined || received === null) {
      return inconclusive('it got through; under which path, only the upstream knows');
    }
    return received.target === grounds.path
      ? pass('it was forwarded under the path that was decided')
      : fail(`it was forwarded as \`${received.target.slice(0, 120)}\``);
  }
  return fail('it got through');
}

function judgeReason(expects: Expectation, reason: string): Judgement {
  if (OF_LIMITS.has(reason)) {
    return inconclusive('a limit refused it before it was looked at: wait, or take a caller with more room');
  }
  if (expects === 'nobody' && !BEFORE_IDENTITY.has(reason)) {
    return fail('it was refused for another reason than that nobody sent it: somebody was believed to');
  }
  if (expects === 'unmoved' && !BEFORE_IDENTITY.has(reason)) {
    return fail('it was decided as for somebody else than the caller');
  }
  return pass('Duramen refused it');
}

function pass(meaning: string): Judgement {
  return { outcome: 'pass', meaning };
}

function fail(meaning: string): Judgement {
  return { outcome: 'fail', meaning };
}

function inconclusive(meaning: string): Judgement {
  return { outcome: 'inconclusive', meaning };
}
