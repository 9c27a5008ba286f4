/**
 * How a gateway's key may bring in the callers of a tenant: by asserting who they are, or by forwarding their
 * credential. Invariant: the first rule that names a tenant decides; where rules exist, a tenant without one has none.
 */
import { z } from 'zod';
import { entityTypeSchema, idSchema } from './ids.ts';

export const CALLER_MODES = ['assert', 'verify'] as const;
/** `assert`: the gateway authenticated the principal and names it; `verify`: it forwards the credential. */
export const callerModeSchema = z.enum(CALLER_MODES).meta({ id: 'CallerMode' });

/** Most rules of one key. */
const MAX_RULES = 64;

const callerRuleSchema = z
  .strictObject({
    tenants: z.array(idSchema).min(1).max(256).optional().meta({ description: 'absent: every tenant' }),
    mode: callerModeSchema,
    principalTypes: z
      .array(entityTypeSchema)
      .min(1)
      .max(16)
      .optional()
      .meta({ description: 'absent: every type' }),
    maxAssurance: z
      .int()
      .min(0)
      .max(3)
      .optional()
      .meta({ description: 'the strongest `auth.assurance` that may be asserted' }),
  })
  .meta({ id: 'CallerRule' });
export type CallerRule = Readonly<z.infer<typeof callerRuleSchema>>;

export const callerRulesSchema = z.array(callerRuleSchema).min(1).max(MAX_RULES);
export type CallerRules = readonly CallerRule[];

/** The rule for the callers of a tenant; undefined when there is none. */
export function ruleFor(rules: CallerRules, tenant: string): CallerRule | undefined {
  return rules.find(({ tenants }) => tenants === undefined || tenants.includes(tenant));
}
