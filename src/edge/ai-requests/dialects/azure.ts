/**
 * Azure OpenAI: deployments in the path, where the body's model is ignored, and the newer `/openai/v1`, where
 * it names the deployment. The inference API of Azure AI, under `/models`, names it in the body too.
 */
import type { DialectRow } from '../dialect.ts';
import { openAiRows, WEB_SOCKET } from './openai.ts';

const DEPLOYED = /\.(?:chat|completions|embeddings|images|image-edits|speech|transcriptions|translations)$/;

/** What has no deployment in its path, with the version in the query. */
const UNVERSIONED = /\.(?:responses|responses-tokens|responses-compact|fine-tuning|batch-file|batch|model)$/;

export function azureRows(): DialectRow[] {
  const deployment = '/openai/deployments/{deployment}';
  const inference = /\.(?:chat|embeddings)$/;
  return [
    ...openAiRows('azure-openai', deployment)
      .filter(({ dialect }) => DEPLOYED.test(dialect))
      .map(row => ({ ...row, model: '{deployment}', bodyModel: 'ignored' as const })),
    ...openAiRows('azure-openai', '/openai/v1'),
    ...openAiRows('azure-openai', '/openai').filter(({ dialect }) => UNVERSIONED.test(dialect)),
    {
      dialect: 'azure-openai.realtime',
      methods: ['GET'],
      path: '/openai/realtime',
      operation: 'generate',
      body: { kind: 'none' },
      stream: true,
      parameters: ['deployment', 'model'],
      ...WEB_SOCKET,
    },
    ...openAiRows('azure-openai.inference', '/models').filter(({ dialect }) => inference.test(dialect)),
  ];
}
