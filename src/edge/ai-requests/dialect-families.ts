/** The rows of each family of dialects: the closed table, family by family. */
import type { DialectRow } from './dialect.ts';
import type { DialectFamily } from '../../domain/pep-profile.ts';
import { anthropicRows } from './dialects/anthropic.ts';
import { azureRows } from './dialects/azure.ts';
import { bedrockRows } from './dialects/bedrock.ts';
import { cohereRows } from './dialects/cohere.ts';
import { geminiRows, vertexRows } from './dialects/gemini.ts';
import { inferenceGrpcRows } from './dialects/inference-grpc.ts';
import {
  kserveRows,
  mlflowRows,
  openInferenceRows,
  torchServeRows,
  tritonRows,
} from './dialects/inference-servers.ts';
import { ollamaRows } from './dialects/ollama.ts';
import { openAiRows } from './dialects/openai.ts';
import { sageMakerRows } from './dialects/sagemaker.ts';
import { huggingFaceRows, vllmRows } from './dialects/vllm.ts';

const FAMILIES: Readonly<Record<DialectFamily, () => DialectRow[]>> = {
  openai: () => openAiRows(),
  'azure-openai': azureRows,
  anthropic: () => anthropicRows(),
  gemini: geminiRows,
  vertex: vertexRows,
  bedrock: bedrockRows,
  cohere: cohereRows,
  ollama: ollamaRows,
  vllm: vllmRows,
  huggingface: huggingFaceRows,
  kserve: () => kserveRows(),
  'open-inference': () => [...openInferenceRows(), ...inferenceGrpcRows()],
  triton: () => [...tritonRows(), ...inferenceGrpcRows()],
  torchserve: torchServeRows,
  mlflow: mlflowRows,
  sagemaker: sageMakerRows,
};

export function makeRows(family: DialectFamily): readonly DialectRow[] {
  return FAMILIES[family]();
}
