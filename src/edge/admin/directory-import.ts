/**
 * POST /v1/directory/import: NDJSON in, NDJSON of progress out. Invariants: the last line says `done` with the
 * new revision or `failed` with the problem; a failure before the first progress line has its own status; the
 * control plane is asked about the entity of each line, as it is when entities are written one by one.
 */
import { z } from 'zod';
import { entityTag } from '../../directory/preconditions.ts';
import type { ImportProgress, ImportResult } from '../../directory/import.ts';
import { ownerByName } from '../../directory/tenancy.ts';
import { type EntityLine, entityLineSchema } from '../../domain/entity.ts';
import { mayActFor } from '../../identity/authority.ts';
import { parseJson } from '../http/json-body.ts';
import { logFailure, problemOf } from '../http/problem.ts';
import { streamBody } from '../http/request-body.ts';
import { type Answer, type Exchange, type Route, route } from '../http/route.ts';
import { parseWith } from '../http/validation.ts';

const NDJSON = 'application/x-ndjson';

const lineSchema = z
  .discriminatedUnion('state', [
    z.strictObject({
      state: z.literal('running'),
      phase: z.enum(['reading', 'checking', 'linking', 'storing']),
      entities: z.int(),
    }),
    z.strictObject({ state: z.literal('done'), created: z.int(), replaced: z.int(), revision: z.int() }),
    z.strictObject({ state: z.literal('failed'), error: z.record(z.string(), z.unknown()) }),
  ])
  .meta({ id: 'ImportLine' });

export function importRoutes(): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/directory/import',
      operation: 'importDirectory',
      tag: 'directory',
      summary: 'Create or replace many entities as one revision, or change nothing',
      access: ['directory'],
      body: {
        kind: 'stream',
        types: [NDJSON],
        description: 'one entity per line: the body of PUT with `type` and `id`',
      },
      maxBytes: ({ limits }) => limits.maxImportBytes,
      answers: {
        200: {
          description: 'progress; the last line is `done` or `failed`',
          schema: lineSchema,
          type: NDJSON,
        },
      },
      failures: ['ENTITY_INVALID', 'STORE_UNAVAILABLE', 'NOT_READY'],
      handle: importDirectory,
    }),
  ];
}

async function importDirectory(exchange: Exchange<unknown, unknown>): Promise<Answer> {
  const { services, credential, incoming } = exchange;
  const progress = new ProgressLines();
  const outcome = services.directory.import(
    streamBody(incoming, services.limits.maxImportBytes),
    credential,
    {
      parseLine: bytes => permittedLine(exchange, parseWith(entityLineSchema, parseJson(bytes))),
      onProgress: step => progress.push(step),
    },
  );
  progress.follow(outcome);
  // what fails at once is answered with its own status; later the status has left already
  await progress.first;
  if (!progress.begun) {
    const { created, replaced, revision } = await outcome;
    return {
      status: 200,
      headers: { etag: entityTag(revision) },
      lines: oneLine(JSON.stringify({ state: 'done', created, replaced, revision })),
    };
  }
  return { status: 200, lines: linesOf(progress, outcome, exchange) };
}

/** @throws AppError when the control plane denies it. The directory itself tells of foreign tenants. */
function permittedLine(
  { services, credential }: Pick<Exchange<unknown, unknown>, 'services' | 'credential'>,
  line: EntityLine,
): EntityLine {
  const { type, id } = line;
  const tenant = ownerByName({ type, id });
  if (mayActFor(credential, tenant)) {
    const object = { kind: 'entity', ref: { type, id }, tenant } as const;
    services.control.require({ credential, operation: 'importDirectory', object });
  }
  return line;
}

async function* linesOf(
  progress: ProgressLines,
  outcome: Promise<ImportResult>,
  { services, requestId }: Exchange<unknown, unknown>,
): AsyncGenerator<string> {
  for await (const { phase, done } of progress) {
    yield JSON.stringify({ state: 'running', phase, entities: done });
  }
  try {
    yield JSON.stringify({ state: 'done', ...(await outcome) });
  } catch (error) {
    logFailure(services.logger, error, { route: '/v1/directory/import', requestId });
    yield JSON.stringify({ state: 'failed', error: problemOf(error, requestId).body });
  }
}

async function* oneLine(line: string): AsyncGenerator<string> {
  yield line;
}

/** The latest progress that nobody has read yet: a slow reader skips steps instead of holding them all. */
class ProgressLines implements AsyncIterable<ImportProgress> {
  /** Resolves at the first progress or at the end, whichever comes first. */
  readonly first: Promise<void>;
  #latest: ImportProgress | undefined;
  #begun = false;
  #ended = false;
  #wake: () => void;
  #changed: Promise<void>;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.first = promise;
    this.#changed = promise;
    this.#wake = resolve;
  }

  get begun(): boolean {
    return this.#begun;
  }

  push(progress: ImportProgress): void {
    this.#begun = true;
    this.#latest = progress;
    this.#signal();
  }

  /** Ends the lines when the import ends, either way. */
  follow(outcome: Promise<unknown>): void {
    const end = () => {
      this.#ended = true;
      this.#signal();
    };
    outcome.then(end, end);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ImportProgress> {
    for (;;) {
      const step = this.#latest;
      this.#latest = undefined;
      if (step !== undefined) yield step;
      else if (this.#ended) return;
      else await this.#changed;
    }
  }

  #signal(): void {
    this.#wake();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#changed = promise;
    this.#wake = resolve;
  }
}
