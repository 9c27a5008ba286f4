/**
 * The decisions that the demo shows first, over src/demo/directory.ndjson and the shipped bundles. Invariant:
 * the first is an allow with its reason, the second a deny that says what was missing; tests decide both.
 */
import type { DecisionRequestInput } from '../domain/decision-request.ts';

/** One line of the tour. */
export interface DemoRequest {
  /** One sentence: who asks what, and how it ends. */
  readonly title: string;
  readonly request: DecisionRequestInput;
}

export const DEMO_REQUESTS: readonly DemoRequest[] = [
  {
    title: 'alice is a data scientist and may use a shared model: allow, with the reason',
    request: {
      principal: { type: 'User', id: 'acme/alice' },
      action: 'generate',
      resource: { type: 'Model', id: 'acme/support-llm' },
    },
  },
  {
    title: 'card-fraud needs more clearance than alice has: deny, with what was missing',
    request: {
      principal: { type: 'User', id: 'acme/alice' },
      action: 'classify',
      resource: { type: 'Model', id: 'acme/card-fraud' },
    },
  },
  {
    title: 'the copilot refunds for bob without a human: deny, with the obligation that would lift it',
    request: {
      principal: { type: 'User', id: 'acme/bob' },
      action: 'generate',
      resource: { type: 'Model', id: 'acme/support-llm' },
      via: {
        agent: 'acme/copilot',
        chain: ['acme/copilot'],
        depth: 1,
        scopes: ['payments:refund'],
        expires: '2099-01-01T00:00:00Z',
        humanApproved: false,
      },
      tools: [{ id: 'acme/refund', amountCents: 1200 }],
      auth: { method: 'jwt', assurance: 2, scopes: ['payments:refund'] },
    },
  },
];
