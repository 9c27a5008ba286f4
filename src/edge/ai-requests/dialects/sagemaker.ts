/**
 * Endpoints of SageMaker. Invariant: what a header selects of an endpoint is part of its name, and a header of SageMaker that
 * is not known is refused.
 */
import { shown } from '../../http/json-fault.ts';
import { refuse } from '../ai-request.ts';
import type { DialectRow, RequestHead } from '../dialect.ts';
import type { Facts } from '../facts.ts';

const SELECTORS = {
  'x-amzn-sagemaker-target-model': '',
  'x-amzn-sagemaker-target-variant': 'variant:',
  'x-amzn-sagemaker-target-container-hostname': 'container:',
  'x-amzn-sagemaker-inference-component': 'component:',
} as const;

/** Headers pick a model, a variant or a container of an endpoint. */
export function sageMakerRows(): DialectRow[] {
  return ['invocations', 'async-invocations', 'invocations-response-stream'].map(verb => ({
    dialect: `sagemaker.${verb}`,
    methods: ['POST'],
    path: `/endpoints/{model}/${verb}`,
    operation: 'predict',
    body: { kind: 'opaque' },
    model: '{model}',
    selectors: SELECTORS,
    stream: verb.endsWith('stream'),
    readHead: readSageMakerHeaders,
    // the input lies in a bucket, and a header says where
    ...(verb === 'async-invocations' ? { classes: ['stored' as const] } : {}),
  }));
}

const SAGEMAKER = 'x-amzn-sagemaker-';
const SESSION = `${SAGEMAKER}session-id`;
/** Headers that select no part of an endpoint: what comes of an asynchronous call, and what is handed to the model. */
const SAGEMAKER_HEADERS: ReadonlySet<string> = new Set(
  [
    'accept',
    'content-type',
    'custom-attributes',
    'enable-explanations',
    'filename',
    'inference-id',
    'inputlocation',
    'invocationtimeoutseconds',
    'requestttlseconds',
    's3outputpathextension',
    'session-id',
  ].map(name => SAGEMAKER + name),
);

/** A header that is not known may select another part of the endpoint, or another model. */
function readSageMakerHeaders(head: RequestHead, facts: Facts): void {
  readSession(head, facts);
  for (const name of head.headers.names()) {
    const isKnown = SAGEMAKER_HEADERS.has(name) || Object.hasOwn(SELECTORS, name);
    if (name.startsWith(SAGEMAKER) && !isKnown) {
      refuse(
        'INPUT_REJECTED',
        `the header \`${shown(name)}\` may select a part of the endpoint, and is not known here`,
      );
    }
  }
}

/** A session goes on with what the model keeps of earlier calls. */
export function readSession({ headers }: RequestHead, facts: Facts): void {
  if (headers.single(SESSION) !== undefined) facts.classes.add('stored');
}
