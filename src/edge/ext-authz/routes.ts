/** The questions of gateways as entries of the route table, for the OpenAPI document. */
import { z } from 'zod';
import { directRoute, type Method, type Route } from '../http/route.ts';

const METHODS: readonly Method[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
const ANSWERS = {
  200: {
    description:
      'allow; the headers `x-duramen-decision`, `-decision-id`, `-reason`, `-status`, `-principal`, `-tenant`, `-action`, `-model`, `-requested-model` and `-tool` are in every answer, empty where there is nothing to say',
  },
  401: {
    description: 'deny for want of a caller, or the gateway itself is not known',
    type: 'application/json',
  },
  403: {
    description: 'deny, with the reason in the shape of the API that was asked',
    type: 'application/json',
  },
  429: { description: 'deny because of a limit, where the gateway passes it on', type: 'application/json' },
  503: {
    description: 'no decision could be made, for gateways that take an error for a deny',
    type: 'application/json',
  },
};
const TAG = 'gateways';

const portkeyAnswer = z
  .strictObject({ verdict: z.boolean(), data: z.record(z.string(), z.unknown()) })
  .meta({ id: 'PortkeyVerdict' });
const litellmAnswer = z
  .strictObject({ action: z.enum(['NONE', 'BLOCKED']), blocked_reason: z.string().optional() })
  .meta({ id: 'LitellmVerdict' });

export function extAuthzRoutes(): readonly Route[] {
  return [
    ...METHODS.flatMap(method => [
      directRoute({
        method,
        path: '/ext-authz/{profile}',
        operation: `ask_${method.toLowerCase()}`,
        tag: TAG,
        summary: 'May the request pass that the headers of the gateway describe?',
        answers: ANSWERS,
        failures: ['NOT_FOUND', 'ROLE_REQUIRED'],
      }),
      directRoute({
        method,
        path: '/ext-authz/{profile}/{path*}',
        operation: `askByPath_${method.toLowerCase()}`,
        tag: TAG,
        summary: 'May a request with this method, path and body pass?',
        answers: ANSWERS,
        failures: ['NOT_FOUND', 'ROLE_REQUIRED'],
      }),
    ]),
    directRoute({
      method: 'POST',
      path: '/hooks/portkey/{profile}',
      operation: 'askByPortkey',
      tag: TAG,
      summary: "Portkey's webhook, as an input guardrail",
      answers: {
        200: { description: 'the verdict, also when no decision could be made', schema: portkeyAnswer },
      },
      failures: ['NOT_FOUND'],
    }),
    directRoute({
      method: 'POST',
      path: '/hooks/litellm/{profile}/beta/litellm_basic_guardrail_api',
      operation: 'askByLitellm',
      tag: TAG,
      summary: "LiteLLM's generic guardrail, before the call",
      answers: {
        200: { description: 'the verdict, also when no decision could be made', schema: litellmAnswer },
      },
      failures: ['NOT_FOUND'],
    }),
  ];
}
