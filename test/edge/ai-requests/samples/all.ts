/** Every family with its samples. */
import type { DialectFamily } from '../../../../src/domain/pep-profile.ts';
import type { Sample } from '../sample.ts';
import { ANTHROPIC_SAMPLES, BEDROCK_SAMPLES, GEMINI_SAMPLES, VERTEX_SAMPLES } from './messages.ts';
import { AZURE_SAMPLES, OPENAI_SAMPLES } from './openai.ts';
import { FURTHER_SAMPLES } from './further.ts';
import {
  COHERE_SAMPLES,
  HUGGINGFACE_SAMPLES,
  KSERVE_SAMPLES,
  MCP_SAMPLES,
  MLFLOW_SAMPLES,
  OLLAMA_SAMPLES,
  OPEN_INFERENCE_SAMPLES,
  SAGEMAKER_SAMPLES,
  TORCHSERVE_SAMPLES,
  TRITON_SAMPLES,
  VLLM_SAMPLES,
} from './servers.ts';

export interface SampleSet {
  readonly name: string;
  readonly dialects: readonly DialectFamily[];
  readonly samples: readonly Sample[];
}

const OWN_SAMPLES: readonly SampleSet[] = [
  { name: 'OpenAI', dialects: ['openai'], samples: OPENAI_SAMPLES },
  { name: 'Azure OpenAI', dialects: ['azure-openai'], samples: AZURE_SAMPLES },
  { name: 'Anthropic', dialects: ['anthropic'], samples: ANTHROPIC_SAMPLES },
  { name: 'Gemini', dialects: ['gemini'], samples: GEMINI_SAMPLES },
  { name: 'Vertex AI', dialects: ['vertex'], samples: VERTEX_SAMPLES },
  { name: 'Bedrock', dialects: ['bedrock'], samples: BEDROCK_SAMPLES },
  { name: 'Cohere', dialects: ['cohere'], samples: COHERE_SAMPLES },
  { name: 'Ollama', dialects: ['ollama'], samples: OLLAMA_SAMPLES },
  { name: 'vLLM', dialects: ['vllm'], samples: VLLM_SAMPLES },
  { name: 'Hugging Face', dialects: ['huggingface'], samples: HUGGINGFACE_SAMPLES },
  { name: 'KServe V1 and TensorFlow Serving', dialects: ['kserve'], samples: KSERVE_SAMPLES },
  { name: 'Open Inference V2', dialects: ['open-inference'], samples: OPEN_INFERENCE_SAMPLES },
  { name: 'Triton', dialects: ['triton'], samples: TRITON_SAMPLES },
  { name: 'TorchServe', dialects: ['torchserve'], samples: TORCHSERVE_SAMPLES },
  { name: 'MLflow', dialects: ['mlflow'], samples: MLFLOW_SAMPLES },
  { name: 'SageMaker', dialects: ['sagemaker'], samples: SAGEMAKER_SAMPLES },
  { name: 'the Model Context Protocol', dialects: [], samples: MCP_SAMPLES },
];

export const SAMPLES: readonly SampleSet[] = OWN_SAMPLES.map(set => ({
  ...set,
  samples: [...set.samples, ...set.dialects.flatMap(family => FURTHER_SAMPLES[family] ?? [])],
}));
