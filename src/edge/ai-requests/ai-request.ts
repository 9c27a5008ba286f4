/**
 * What a gateway's request asks of a model, and how reading it can fail. Invariant: a request is understood as
 * a whole or refused with a code; there is no third outcome, and nothing in an understood request is guessed.
 */
import type { ReasonCode } from '../../domain/reason.ts';
import type { HeaderList } from './header-list.ts';

/** Why a request cannot be understood: the part of the reason codes that this folder may use. */
export type RefusalCode = Extract<
  ReasonCode,
  'MODEL_UNKNOWN' | 'MODEL_AMBIGUOUS' | 'BODY_INCOMPLETE' | 'BODY_UNREADABLE' | 'INPUT_REJECTED'
>;

/** Actions of the schema that a request can stand for. `invoke` is the endpoint level alone: metadata of a model. */
export type Operation =
  | 'generate'
  | 'embed'
  | 'classify'
  | 'rerank'
  | 'transcribe'
  | 'moderate'
  | 'batch'
  | 'predict'
  | 'train'
  | 'deploy'
  | 'retire'
  | 'delete'
  | 'invoke'
  | 'callTool';

/**
 * Kinds of input. `stored` is content that the upstream holds and the request only refers to; `unknown` is
 * content of a kind that the dialect's table does not know. A model that lists its input classes takes neither.
 */
export type InputClass =
  | 'text'
  | 'image'
  | 'audio'
  | 'video'
  | 'file'
  | 'tabular'
  | 'tensor'
  | 'tokens'
  | 'stored'
  | 'unknown';

/** A tool that the request offers to the model (`function`), that the upstream runs by itself (`server`), that a
 * remote server of the Model Context Protocol runs (`mcp`), or that this very request calls (`called`). */
export interface ToolUse {
  readonly name: string;
  readonly kind: 'function' | 'server' | 'mcp' | 'called';
}

/** The outputs that a request asks for: of its candidates, its prompts, the lines of a batch. In tokens, but for counts. */
export interface AiOutputs {
  readonly count: number;
  /** What those that declare a bound may make together. */
  readonly declared: number;
  /** What the largest request that declares a bound may make; absent: none does. */
  readonly largest?: number;
  /** How many declare no bound, over all requests and of the one that asks for most of them. */
  readonly unbounded: number;
  readonly mostUnbounded: number;
}

/** Parameters that policies or logs look at. Absent: the request does not say. */
export interface AiParams {
  /** Largest output in tokens, over all candidates that the request asks for; of a batch that of its largest request. */
  readonly maxOutputTokens?: number;
  readonly stream: boolean;
  readonly temperature?: number;
  readonly topP?: number;
}

/** A request that was understood. */
export interface AiRequest {
  /** `<family>.<row>`: which row of the table read it. */
  readonly dialect: string;
  readonly operation: Operation;
  /** Every model that the request could reach, as it names them, each once, the first one first; none for `callTool`. */
  readonly models: readonly string[];
  /** Sorted. Empty when the request has no input. */
  readonly inputClasses: readonly InputClass[];
  /** Bytes of the body after decoding; 0 when the gateway does not send it. */
  readonly inputBytes: number;
  /** Made without a tokenizer, from bytes: at least the true count for most texts. */
  readonly tokenEstimate: { readonly tokens: number; readonly isEstimate: true };
  readonly params: AiParams;
  readonly outputs: AiOutputs;
  readonly tools: readonly ToolUse[];
  readonly stream: boolean;
}

/** A request that must be denied because it cannot be understood. */
export interface Refusal {
  readonly code: RefusalCode;
  /** One sentence for the caller. */
  readonly message: string;
}

export type Understanding =
  | { readonly understood: true; readonly request: AiRequest }
  | { readonly understood: false; readonly refusal: Refusal; readonly dialect: string | undefined };

/** The body as far as the gateway shows it. `unseen`: it does not send bodies. `partial`: it cut the body. */
export type GatewayBody =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array }
  | { readonly kind: 'partial' }
  | { readonly kind: 'unseen' };

/** The client's request as the gateway describes it. */
export interface GatewayRequest {
  /** As the client wrote it. */
  readonly method: string;
  /** Path and query as the client wrote them: neither decoded nor normalised. */
  readonly target: string;
  /** The client's headers, without those that the gateway added to describe the request. */
  readonly headers: HeaderList;
  readonly body: GatewayBody;
}

/** Ends the reading of a request: caught by `understandRequest`, and by nothing else. */
export class RequestRefused extends Error {
  readonly refusal: Refusal;
  constructor(code: RefusalCode, message: string) {
    super(message);
    this.name = 'RequestRefused';
    this.refusal = { code, message };
  }
}

/** @throws RequestRefused */
export function refuse(code: RefusalCode, message: string): never {
  throw new RequestRefused(code, message);
}
