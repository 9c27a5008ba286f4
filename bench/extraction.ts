/** What reading a request costs by itself: from the bytes of a body to models, operation, classes and parameters. */
import { HeaderList } from '../src/edge/ai-requests/header-list.ts';
import { AiRequestReader } from '../src/edge/ai-requests/request-reader.ts';
import { BODY_BYTES, CHAT_PATH, chatOf, headersOf } from './questions.ts';

export interface ExtractionFigures {
  /** Microseconds of one request by the bytes of its body, in the best round. */
  readonly microseconds: Readonly<Record<string, number>>;
  /** Time for each byte of the largest body over that of a body of 64 KiB: 1 is linear. */
  readonly growth: number;
}

const SIZES = [BODY_BYTES, 64 * 1024, 1024 * 1024] as const;
const ROUNDS = 15;
const WARM_UP = 5;
/** Bytes that are read in each round. */
const BYTES = 8 * 1024 * 1024;

export function benchExtraction(say: (line: string) => void): ExtractionFigures {
  const reader = new AiRequestReader({
    dialects: ['openai'],
    pathPrefix: '',
    mcp: [],
    allowsSeveralModels: false,
    namesAccounts: false,
  });
  const headers = HeaderList.of(Object.entries({ 'content-type': 'application/json', ...headersOf() }));
  const microseconds: Record<string, number> = {};
  for (const size of SIZES) {
    const bodies = Array.from({ length: Math.min(200, BYTES / size) }, (_, turn) =>
      Buffer.from(chatOf({ model: 'acme/support-llm' }, turn, size)),
    );
    const count = BYTES / size;
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const startedAt = performance.now();
      for (let turn = 0; turn < count; turn++) {
        const bytes = bodies[turn % bodies.length];
        if (bytes === undefined) throw new Error('no body to read');
        const body = { kind: 'whole', bytes } as const;
        if (!reader.read({ method: 'POST', target: CHAT_PATH, headers, body }).understood) {
          throw new Error('a request of the benchmark was not understood');
        }
      }
      times.push(((performance.now() - startedAt) * 1000) / count);
    }
    // the least: what other processes take is no cost of reading
    microseconds[size] = Math.min(...times.slice(WARM_UP));
    say(`extraction from ${size} bytes: ${(microseconds[size] ?? Number.NaN).toFixed(1)} µs`);
  }
  const [, middle, large] = SIZES;
  const perByte = (size: number): number => (microseconds[size] ?? Number.NaN) / size;
  return { microseconds, growth: perByte(large) / perByte(middle) };
}
