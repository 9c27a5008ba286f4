/** `duramen import FILE`: entities as NDJSON into the directory, all or nothing, with progress on stderr. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';
import { clientOf, problemSchema, refusalOf } from './client.ts';
import { CliError, EXIT } from './exit-code.ts';
import { type OutputFormat, printData } from './table.ts';
import { Progress, type Terminal } from './terminal.ts';

const doneSchema = z.object({
  state: z.literal('done'),
  created: z.number(),
  replaced: z.number(),
  revision: z.number(),
});
const lineSchema = z.discriminatedUnion('state', [
  z.object({ state: z.literal('running'), phase: z.string(), entities: z.number() }),
  doneSchema,
  z.object({ state: z.literal('failed'), error: problemSchema }),
]);
type Done = z.output<typeof doneSchema>;

export interface ImportOptions {
  readonly url?: string | undefined;
  readonly output: OutputFormat;
}

/** @throws CliError when the import failed; then nothing was changed. */
export async function importFile(terminal: Terminal, file: string, options: ImportOptions): Promise<void> {
  const bytes = await sizeOf(file);
  const response = await clientOf(terminal, options.url).fetch({
    method: 'POST',
    path: '/v1/directory/import',
    body: bodyOf(file),
    contentType: 'application/x-ndjson',
  });
  const done = await follow(terminal, response, bytes);
  const { created, replaced, revision } = done;
  printData(terminal, options.output, { created, replaced, revision }, () => ({
    columns: ['created', 'replaced', 'revision'],
    rows: [[String(created), String(replaced), String(revision)]],
  }));
}

async function sizeOf(file: string): Promise<number> {
  try {
    const found = await stat(file);
    if (found.isFile()) return found.size;
  } catch (error) {
    throw new CliError(`cannot read \`${file}\`: ${messageOf(error)}`, { exitCode: EXIT.usage });
  }
  throw new CliError(`\`${file}\` is not a file`, {
    exitCode: EXIT.usage,
    hint: 'name a file of NDJSON: one entity per line, such as src/demo/directory.ndjson',
  });
}

function bodyOf(file: string): ReadableStream<Uint8Array> {
  const source = Readable.toWeb(createReadStream(file));
  return source.pipeThrough(
    new TransformStream<unknown, Uint8Array>({
      transform(chunk, controller) {
        if (!(chunk instanceof Uint8Array)) throw new Error('a file was read as text');
        controller.enqueue(chunk);
      },
    }),
  );
}

/** Shows each line of progress and returns the last line's result. */
async function follow(terminal: Terminal, response: Response, bytes: number): Promise<Done> {
  const progress = new Progress(terminal);
  const megabytes = (bytes / 1_000_000).toFixed(1);
  try {
    for await (const text of linesOf(response)) {
      const line = lineSchema.safeParse(parse(text));
      if (!line.success) throw new CliError('the service sent a line of progress that is not one');
      const { data } = line;
      if (data.state === 'done') return data;
      if (data.state === 'failed') throw refusalOf(data.error);
      progress.show(`${data.phase}: ${data.entities} entities of ${megabytes} MB`);
    }
  } finally {
    progress.done();
  }
  throw new CliError('the service ended the import without a result', {
    hint: 'nothing says whether it was applied: compare the revision of the directory, then import again',
  });
}

function linesOf(response: Response): AsyncIterable<string> {
  if (response.body === null) throw new CliError('the service answered the import with nothing');
  return createInterface({ input: Readable.fromWeb(response.body) });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
