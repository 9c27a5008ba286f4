/**
 * Decides who may do what to Duramen itself. Invariants: an allow takes a satisfied permit of the chosen policies
 * and no satisfied or erring forbid of either set; whatever fails denies; nothing here waits or touches a store.
 */
import { authorize, type Evaluation } from '../cedar/authorize.ts';
import type { CompiledPolicy } from '../cedar/types.ts';
import type { Clock } from '../domain/clock.ts';
import { TENANT_POLICIES } from './built-in-forbids.ts';
import { actionUid, ControlWorld } from './cedar-world.ts';
import type { ControlPolicies } from './policy-sets.ts';
import type { ControlQuestion, ControlVerdict } from './question.ts';

type Denial = Extract<ControlVerdict, { allowed: false }>;

export class ControlPlane {
  readonly #policies: ControlPolicies;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #onFailure: (error: unknown) => void;
  readonly #world = new ControlWorld();

  /** @param onFailure hears of evaluations that failed, which denied. Must not throw. */
  constructor(policies: ControlPolicies, clock: Pick<Clock, 'now'>, onFailure: (error: unknown) => void) {
    this.#policies = policies;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  /** Whether the schema has an action for the operation of a route. */
  knows(operation: string): boolean {
    const action = this.#policies.schema.actions.get(actionUid(operation).key);
    return action !== undefined && action.principalTypes.size > 0;
  }

  decide(question: ControlQuestion): ControlVerdict {
    try {
      const request = this.#world.request(question, this.#clock.now());
      // An operation that the schema lacks is nobody's to call, whatever `permit (principal, action, resource)` says.
      if (!this.knows(question.operation))
        return failed(`the control plane has no action \`${question.operation}\``);
      return verdictOf(authorize(this.#policies.sets, request));
    } catch (error) {
      this.#onFailure(error);
      return failed('the policies of the control plane could not be evaluated');
    }
  }
}

function verdictOf({ decision, determining, erroring, satisfiedPermits }: Evaluation): ControlVerdict {
  const erring = erroring.filter(({ effect }) => effect === 'forbid');
  if (decision === 'allow' && erring.length === 0) return { allowed: true, policies: idsOf(determining) };
  const forbids = decision === 'deny' ? determining : [];
  const [first] = forbids;
  if (first !== undefined) {
    const cause = causeOf(forbids, satisfiedPermits);
    return { allowed: false, cause, policies: idsOf(forbids), reason: first.reason };
  }
  if (erring.length > 0) {
    return { ...failed('a forbid of the control plane could not be evaluated'), policies: idsOf(erring) };
  }
  const reason = 'no policy of the control plane permits this to the key';
  return { allowed: false, cause: 'no-permit', policies: [], reason };
}

/** A denial is a matter of tenants when nothing else stands against the call: a key of other tenants may make it. */
function causeOf(forbids: readonly CompiledPolicy[], permits: readonly CompiledPolicy[]): Denial['cause'] {
  if (permits.length === 0) return 'no-permit';
  return forbids.every(({ id }) => TENANT_POLICIES.has(id)) ? 'tenant' : 'policy';
}

function failed(reason: string): Denial {
  return { allowed: false, cause: 'failure', policies: [], reason };
}

function idsOf(policies: readonly CompiledPolicy[]): readonly string[] {
  return policies.map(({ id }) => id);
}
