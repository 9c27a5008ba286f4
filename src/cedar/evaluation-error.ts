/**
 * Cedar's runtime errors. An error is an ordinary outcome of evaluating a policy (an optional attribute
 * that is absent is enough), so one frozen object per code is thrown again and again: capturing a stack
 * each time would cost more than the decision, and nobody reads it.
 */
import type { EvaluationErrorCode } from './types.ts';

/** What went wrong, as a noun phrase for explanations. It names no data. */
const MESSAGES: Readonly<Record<EvaluationErrorCode, string>> = {
  ENTITY_MISSING: 'the entity does not exist',
  ATTRIBUTE_MISSING: 'the attribute does not exist',
  TAG_MISSING: 'the tag does not exist',
  TYPE_ERROR: 'an operand has the wrong type',
  INTEGER_OVERFLOW: 'the result exceeds 64 bits',
  EXTENSION_ERROR: 'an extension function failed',
  WRONG_ARITY: 'an extension function got the wrong number of arguments',
};

/** Thrown by the evaluator, caught by `authorize` and `explain`; never leaves `cedar/` otherwise. */
export class EvaluationError extends Error {
  readonly code: EvaluationErrorCode;

  constructor(code: EvaluationErrorCode) {
    super(MESSAGES[code]);
    this.name = 'EvaluationError';
    this.code = code;
  }
}

const thrown: Readonly<Record<EvaluationErrorCode, EvaluationError>> = {
  ENTITY_MISSING: Object.freeze(new EvaluationError('ENTITY_MISSING')),
  ATTRIBUTE_MISSING: Object.freeze(new EvaluationError('ATTRIBUTE_MISSING')),
  TAG_MISSING: Object.freeze(new EvaluationError('TAG_MISSING')),
  TYPE_ERROR: Object.freeze(new EvaluationError('TYPE_ERROR')),
  INTEGER_OVERFLOW: Object.freeze(new EvaluationError('INTEGER_OVERFLOW')),
  EXTENSION_ERROR: Object.freeze(new EvaluationError('EXTENSION_ERROR')),
  WRONG_ARITY: Object.freeze(new EvaluationError('WRONG_ARITY')),
};

/** Ends the evaluation of the policy. @throws EvaluationError always. */
export function fail(code: EvaluationErrorCode): never {
  throw thrown[code];
}
