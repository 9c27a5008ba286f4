/** Names of the families of dialects that a gateway can be allowed to send. */

export const DIALECT_FAMILIES = [
  'openai',
  'azure-openai',
  'anthropic',
  'gemini',
  'vertex',
  'bedrock',
  'cohere',
  'ollama',
  'vllm',
  'huggingface',
  'kserve',
  'open-inference',
  'triton',
  'torchserve',
  'mlflow',
  'sagemaker',
] as const;
/** The Model Context Protocol is no family: its endpoints have paths of their own (mcp.ts). */
export type DialectFamily = (typeof DIALECT_FAMILIES)[number];
