/** `duramen load`: the load of models, as it is reported and as it decides. */
import type { Command } from 'commander';
import { z } from 'zod';
import type { CommandTools } from './caller-keys.ts';
import { clientOf } from './client.ts';
import { CliError, EXIT } from './exit-code.ts';
import { printData } from './table.ts';
import type { Terminal } from './terminal.ts';

const PATH = '/v1/load';

const loadSchema = z.looseObject({
  model: z.string().optional(),
  modelGroup: z.string().optional(),
  sources: z.number(),
  gpuPercent: z.number().nullable(),
  kvCachePercent: z.number().nullable(),
  queueDepth: z.number().nullable(),
  loadPercent: z.number().nullable(),
  step: z.number(),
  expiresAt: z.string(),
});
const listSchema = z.looseObject({ items: z.array(loadSchema) });
const reportedSchema = z.looseObject({ outcome: z.string(), load: loadSchema.nullable() });
type Load = z.output<typeof loadSchema>;

const common = z.object({ url: z.string().optional(), output: z.enum(['table', 'json']) });
const reportOptions = common.extend({
  model: z.string().optional(),
  modelGroup: z.string().optional(),
  source: z.string().optional(),
  gpu: z.string().optional(),
  kvCache: z.string().optional(),
  queue: z.string().optional(),
  ttl: z.string().optional(),
});

export function addLoad(
  program: Command,
  terminal: Terminal,
  { withServer }: Pick<CommandTools, 'withServer'>,
): void {
  const load = program.command('load').description('the load of models, which turns requests away');
  withServer(load.command('report'))
    .description('report the load of a replica; it counts until it expires')
    .option('--model <id>', 'such as acme/support-llm')
    .option('--model-group <id>', 'a group of models that share what is loaded')
    .option('--source <name>', 'which replica')
    .option('--gpu <percent>', 'how busy the processors are, 0 to 100')
    .option('--kv-cache <percent>', 'how full the cache is, 0 to 100')
    .option('--queue <number>', 'calls that wait')
    .option('--ttl <seconds>', 'for how long the report counts; default: 30')
    .action((options: unknown) => report(terminal, reportOptions.parse(options)));
  withServer(load.command('show'))
    .description('show the loads that are reported, and the steps of shedding in force')
    .action((options: unknown) => show(terminal, common.parse(options)));
}

async function report(terminal: Terminal, options: z.output<typeof reportOptions>): Promise<void> {
  const { url, output, model, modelGroup, source, gpu, kvCache, queue, ttl } = options;
  const reported = await clientOf(terminal, url).fetchJson(reportedSchema, {
    method: 'POST',
    path: PATH,
    json: {
      model,
      modelGroup,
      source,
      gpuPercent: numberOf('--gpu', gpu),
      kvCachePercent: numberOf('--kv-cache', kvCache),
      queueDepth: numberOf('--queue', queue),
      ttlSeconds: numberOf('--ttl', ttl),
    },
  });
  print(terminal, output, reported, reported.load === null ? [] : [reported.load]);
  if (reported.outcome === 'stale') terminal.err('a later report of this source is known: nothing changed\n');
}

async function show(terminal: Terminal, { url, output }: z.output<typeof common>): Promise<void> {
  const listed = await clientOf(terminal, url).fetchJson(listSchema, { path: PATH });
  print(terminal, output, listed, listed.items);
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new CliError(`${option} \`${text}\` is no whole number`, { exitCode: EXIT.usage });
}

function print(terminal: Terminal, output: 'table' | 'json', value: unknown, items: readonly Load[]): void {
  const shown = (number: number | null): string => (number === null ? '-' : String(number));
  printData(terminal, output, value, () => ({
    columns: ['model', 'sources', 'gpu %', 'kv cache %', 'queue', 'load %', 'step', 'until'],
    rows: items.map(load => [
      load.model ?? `${load.modelGroup ?? ''} (group)`,
      String(load.sources),
      shown(load.gpuPercent),
      shown(load.kvCachePercent),
      shown(load.queueDepth),
      shown(load.loadPercent),
      String(load.step),
      load.expiresAt,
    ]),
  }));
}
