/** The operations on models that a schema declares, for questions that name one. Invariant: a name that is none is told. */
import { AppError } from '../domain/errors.ts';
import { NAMESPACE } from '../domain/names.ts';
import { nearest } from '../domain/spelling.ts';
import type { PlannableAction, Planner } from './plan.ts';

/** The type that operations are on. */
export const MODEL_TYPE = `${NAMESPACE}::Model`;

/**
 * The operation of that name.
 * @param pointer of the name in the question
 * @throws AppError INVALID_REQUEST with the operation that was probably meant
 */
export function findModelOperation(planner: Planner, name: string, pointer: string): PlannableAction {
  const action = planner.find(name);
  if (action?.definition.resourceTypes.has(MODEL_TYPE) === true) return action;
  const known = [...planner.actions].flatMap(([id, { definition }]) =>
    definition.resourceTypes.has(MODEL_TYPE) ? [id] : [],
  );
  const near = nearest(name, new Set(known));
  const message = `there is no operation \`${name}\` on models`;
  const hint = near === undefined ? `there are ${known.join(', ')}` : `did you mean \`${near}\`?`;
  throw new AppError('INVALID_REQUEST', message, { problems: [{ pointer, message, hint }] });
}
