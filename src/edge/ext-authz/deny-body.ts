/** The body of a deny in the shape of the API that the client speaks, so that its library shows the reason. */

/** What the client is told. */
export interface DenyFacts {
  /** Of the client's request, not of the gateway's question. */
  readonly status: number;
  /** A reason code, or the code of a failure. */
  readonly code: string;
  readonly message: string;
  readonly decisionId: string | undefined;
}

/** @param dialect `<family>.<row>`; undefined when the request was not understood. */
export function denyBody(dialect: string | undefined, facts: DenyFacts): unknown {
  const family = dialect?.split('.', 1)[0] ?? '';
  const { status, code, message, decisionId } = facts;
  if (family === 'anthropic') {
    return {
      type: 'error',
      error: { type: anthropicType(status), message: `${code}: ${message}` },
      request_id: decisionId,
    };
  }
  if (family === 'gemini' || family === 'vertex') {
    return { error: { code: status, message: `${code}: ${message}`, status: googleStatus(status) } };
  }
  if (family === 'bedrock') return { message: `${code}: ${message}` };
  if (family === 'mcp') {
    // JSON-RPC 2.0 leaves -32000 to -32099 to servers
    return { jsonrpc: '2.0', id: null, error: { code: -32_003, message, data: { code, decisionId } } };
  }
  if (['cohere', 'huggingface', 'mlflow', 'sagemaker'].includes(family))
    return { message: `${code}: ${message}` };
  if (['ollama', 'kserve', 'open-inference', 'triton'].includes(family))
    return { error: `${code}: ${message}` };
  return { error: { message, type: openAiType(status), param: null, code, decision_id: decisionId } };
}

function anthropicType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 503) return 'overloaded_error';
  return status === 429 ? 'rate_limit_error' : 'permission_error';
}

function googleStatus(status: number): string {
  if (status === 401) return 'UNAUTHENTICATED';
  if (status === 503) return 'UNAVAILABLE';
  return status === 429 ? 'RESOURCE_EXHAUSTED' : 'PERMISSION_DENIED';
}

function openAiType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 503) return 'server_error';
  return status === 429 ? 'rate_limit_error' : 'permission_error';
}
