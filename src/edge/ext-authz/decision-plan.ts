/**
 * From an understood request and its caller to the decisions that it needs. Invariant: every model and every
 * tool that the profile wants decided is in one of them, and all must allow.
 */
import { type DecisionRequest, MAX_CHECKED_ITEMS, MAX_SET_ELEMENTS } from '../../domain/decision-request.ts';
import type { EntityRef } from '../../domain/ids.ts';
import { tenantPrefix } from '../../domain/names.ts';
import type { PepProfile } from '../../domain/pep-profile.ts';
import type { AiOutputs, AiRequest } from '../ai-requests/ai-request.ts';
import type { Caller } from './caller-identity.ts';
import { type Registry, resolveModel, resolveTool } from './entity-names.ts';
import { deny } from './request-denied.ts';

/** Stands for what is not known in a deny that no policy was asked about. */
const UNKNOWN = '?';

/** One decision, with the name by which the request calls its resource. */
export interface PlannedDecision {
  readonly request: DecisionRequest;
  readonly name: string;
}

/**
 * @param hash `sha256:…` of the body, where there is one.
 * @throws RequestDenied when a name leads nowhere, or too many tools must be decided.
 */
export function planDecisions(
  ai: AiRequest,
  caller: Caller,
  profile: PepProfile,
  isRegistered: Registry,
  hash: string | undefined,
): readonly PlannedDecision[] {
  const tenant = caller.tenant ?? tenantPrefix(caller.principal.id);
  const tools = toolsOf(ai, profile, tenant, isRegistered);
  const shared = { ...caller, ...inputOf(ai, profile, hash), explain: 'summary' } as const;
  if (ai.operation === 'callTool') {
    const [called] = ai.tools;
    if (called === undefined) throw new Error(`dialect ${ai.dialect} calls no tool`);
    const id = tools[0] ?? UNKNOWN;
    const request = { ...shared, action: 'callTool', resource: { type: 'Tool', id } };
    return [{ request, name: called.name }];
  }
  return ai.models.map(name => ({
    name,
    request: {
      ...shared,
      action: ai.operation,
      resource: { type: 'Model', id: resolveModel(name, profile, tenant, isRegistered) },
      ...(tools.length === 0 ? {} : { tools: tools.map(id => ({ id })) }),
    },
  }));
}

/** The request of a deny that no policy was asked about, with as much as is known. */
export function refusedRequest(
  caller: Caller | undefined,
  tenant: string | undefined,
  ai: AiRequest | undefined,
): DecisionRequest {
  const resource: EntityRef = {
    type: ai?.operation === 'callTool' ? 'Tool' : 'Model',
    id: ai?.models[0] ?? ai?.tools[0]?.name ?? UNKNOWN,
  };
  return {
    principal: { type: 'User', id: UNKNOWN },
    ...(tenant === undefined ? {} : { tenant }),
    ...caller,
    action: ai?.operation ?? UNKNOWN,
    resource,
    explain: 'summary',
  };
}

/** Ids of the tools that are decided, each once. */
function toolsOf(
  { tools }: AiRequest,
  profile: PepProfile,
  tenant: string | undefined,
  isRegistered: Registry,
): readonly string[] {
  const ids = new Set<string>();
  for (const { kind, name } of tools) {
    const isDecided =
      kind === 'called' || profile.tools === 'all' || (profile.tools === 'server' && kind !== 'function');
    if (isDecided) ids.add(resolveTool(name, profile, tenant, isRegistered));
  }
  if (ids.size > MAX_CHECKED_ITEMS) {
    deny('INPUT_REJECTED', `the request offers more than ${MAX_CHECKED_ITEMS} tools that must be decided`);
  }
  return [...ids];
}

function inputOf(
  { inputClasses, tokenEstimate, outputs, stream }: AiRequest,
  { assumedMaxOutputTokens }: PepProfile,
  hash: string | undefined,
): Pick<DecisionRequest, 'input' | 'params'> {
  return {
    input: {
      classes: inputClasses.slice(0, MAX_SET_ELEMENTS),
      modality: modalityOf(inputClasses),
      tokens: tokenEstimate.tokens,
      ...(hash === undefined ? {} : { hash }),
    },
    params: { stream, ...boundsOf(outputs, assumedMaxOutputTokens) },
  };
}

/** The largest request for policies, the sum for limits. What sets no bound has the one that is assumed, where there is one. */
function boundsOf(
  { count, declared, largest, unbounded, mostUnbounded }: AiOutputs,
  assumed: number | undefined,
): NonNullable<DecisionRequest['params']> {
  const supposed = unbounded === 0 || assumed === undefined ? undefined : within(assumed * mostUnbounded);
  const maxOutputTokens = supposed === undefined ? largest : Math.max(largest ?? 0, supposed);
  const total =
    unbounded === 0 ? declared : assumed === undefined ? undefined : declared + assumed * unbounded;
  return {
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    ...(count === 1 ? {} : { outputs: count }),
    ...(count === 1 || total === undefined ? {} : { totalOutputTokens: within(total) }),
  };
}

function within(tokens: number): number {
  return Math.min(tokens, Number.MAX_SAFE_INTEGER);
}

/** The class that is not text where there is one, `multimodal` where there are several. */
function modalityOf(classes: AiRequest['inputClasses']): string {
  const others = classes.filter(one => one !== 'text');
  return others.length === 0 ? 'text' : others.length === 1 ? (others[0] ?? 'text') : 'multimodal';
}
