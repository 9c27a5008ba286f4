/**
 * Bundles from the command line: checked and tested here without a server, pushed and activated on one.
 * Invariant: `validate` and `test` run the same checks as a push, by the same code.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { OpenedBundle } from '../bundles/archive.ts';
import { CompilerClient, type PolicyWorkerApi } from '../bundles/compiler-client.ts';
import { PolicyThread } from '../bundles/policy-thread.ts';
import { type BundleReport, digestSchema } from '../domain/bundle.ts';
import { AppError, type Problem } from '../domain/errors.ts';
import { layerNameSchema } from '../domain/ids.ts';
import { findPlatformFolder, readBundleFolder } from './bundle-folder.ts';
import { clientOf } from './client.ts';
import { CliError, EXIT, exitCodeOf } from './exit-code.ts';
import { itemsOf } from './pages.ts';
import { type OutputFormat, printData } from './table.ts';
import { colorsOf, printable, type Terminal } from './terminal.ts';

const WORKER = new URL('../policy-worker.ts', import.meta.url);
const SHIPPED_SCHEMA = new URL('../../schema/model-serving.cedarschema', import.meta.url);
const SCHEMA_FILE = 'schema.cedarschema';

const problemSchema = z.object({
  file: z.string().optional(),
  line: z.number().optional(),
  column: z.number().optional(),
  message: z.string(),
});
const reportSchema = z.object({
  policies: z.number(),
  tests: z.object({ passed: z.number(), failed: z.number() }),
  warnings: z.array(problemSchema),
});
const pushedSchema = z.looseObject({
  digest: digestSchema,
  layer: layerNameSchema,
  state: z.string(),
  report: reportSchema,
});

export interface CheckOptions {
  readonly platform?: string | undefined;
  readonly output: OutputFormat;
  readonly runTests: boolean;
}

/** Checks a folder as a push would, without a server. @throws CliError with exit code 3 or 4 and every problem. */
export async function checkFolder(terminal: Terminal, folder: string, options: CheckOptions): Promise<void> {
  const thread = new PolicyThread<PolicyWorkerApi>({ name: 'the policy compiler', script: WORKER });
  const defaultSchemaText = readFileSync(SHIPPED_SCHEMA, 'utf8');
  const compiler = new CompilerClient({
    checker: thread,
    builder: thread,
    clock: terminal.clock,
    defaultSchemaText,
  });
  try {
    const bundle = await openFolder(terminal, compiler, folder);
    const companions: OpenedBundle[] = [];
    if (bundle.manifest.layer !== 'platform') {
      const platform = await findPlatformFolder(folder, options.platform);
      terminal.err(`checking beside the platform bundle of ${printable(platform)}\n`);
      companions.push(requirePlatform(await openFolder(terminal, compiler, platform), platform));
    }
    const schemaText = (companions[0] ?? bundle).files[SCHEMA_FILE] ?? defaultSchemaText;
    const report = await compiler.check({ bundle, schemaText, companions, runTests: options.runTests });
    const { layer } = bundle.manifest;
    printReport(
      terminal,
      options.output,
      { layer, digest: bundle.digest, state: 'checked' },
      report,
      options.runTests,
    );
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new CliError(`\`${folder}\`: ${error.message}`, {
      exitCode: exitCodeOf(error.code),
      problems: error.problems,
    });
  } finally {
    await thread.close();
  }
}

export interface PushOptions {
  readonly url?: string | undefined;
  readonly output: OutputFormat;
  readonly activate: boolean;
  readonly dryRun: boolean;
}

export async function pushFolder(terminal: Terminal, folder: string, options: PushOptions): Promise<void> {
  const { manifest, files, ignored } = await readBundleFolder(folder);
  tellIgnored(terminal, folder, ignored);
  const names = Object.keys(files);
  const tests = names.filter(name => name.startsWith('tests/')).length;
  terminal.err(`pushing ${names.length} files of ${printable(folder)}, ${tests} of them tests …\n`);
  const query = new URLSearchParams();
  if (options.activate) query.set('activate', 'true');
  if (options.dryRun) query.set('dryRun', 'true');
  const search = query.size === 0 ? '' : `?${query.toString()}`;
  const client = clientOf(terminal, options.url);
  const pushed = await client.fetchJson(pushedSchema, {
    method: 'POST',
    path: `/v1/bundles${search}`,
    json: { manifest, files },
  });
  printReport(terminal, options.output, pushed, pushed.report, true);
  if (pushed.state === 'staged') {
    terminal.err(`activate it with: duramen activate ${pushed.digest} --reason "why, for the log"\n`);
  }
}

const activationSchema = z.looseObject({
  layer: z.string(),
  digest: z.string(),
  previous: z.string().nullable(),
  reason: z.string(),
  actor: z.string(),
  kind: z.string(),
  at: z.string(),
});
type ActivationView = z.output<typeof activationSchema>;
const activatedSchema = activationSchema.extend({ warnings: z.array(problemSchema).default([]) });

export interface ActivateOptions {
  readonly url?: string | undefined;
  readonly output: OutputFormat;
  readonly reason: string;
  /** A digest, or `none`. */
  readonly expectedActive?: string | undefined;
}

export async function activate(terminal: Terminal, digest: string, options: ActivateOptions): Promise<void> {
  const { reason, expectedActive } = options;
  if (!digestSchema.safeParse(digest).success) {
    throw new CliError(`\`${digest}\` is not a digest`, {
      exitCode: EXIT.usage,
      hint: 'write sha256: and 64 hex digits, as `duramen push` printed them',
    });
  }
  const expected = expectedActive === 'none' ? null : expectedActive;
  const activation = await clientOf(terminal, options.url).fetchJson(activatedSchema, {
    method: 'POST',
    path: `/v1/bundles/${encodeURIComponent(digest)}/activate`,
    json: { reason, ...(expected === undefined ? {} : { expectedActive: expected }) },
  });
  printActivations(terminal, options.output, [activation], activation);
  printWarnings(terminal, activation.warnings);
}

export async function rollback(terminal: Terminal, layer: string, options: ActivateOptions): Promise<void> {
  const { reason, expectedActive } = options;
  const activation = await clientOf(terminal, options.url).fetchJson(activatedSchema, {
    method: 'POST',
    path: `/v1/layers/${encodeURIComponent(layer)}/rollback`,
    json: { reason, ...(expectedActive === undefined ? {} : { expectedActive }) },
  });
  printActivations(terminal, options.output, [activation], activation);
  printWarnings(terminal, activation.warnings);
}

const layersSchema = z.looseObject({
  items: z.array(z.looseObject({ layer: z.string(), active: activationSchema })),
  nextCursor: z.string().nullable(),
});
const historySchema = z.looseObject({ items: z.array(activationSchema), nextCursor: z.string().nullable() });

/** The active bundle of every layer, or the history of one. */
export async function listLayers(
  terminal: Terminal,
  layer: string | undefined,
  options: { readonly url?: string | undefined; readonly output: OutputFormat },
): Promise<void> {
  const client = clientOf(terminal, options.url);
  if (layer !== undefined) {
    const path = `/v1/layers/${encodeURIComponent(layer)}/history`;
    const items = await itemsOf(client, historySchema, path);
    printActivations(terminal, options.output, items, items);
    return;
  }
  const items = await itemsOf(client, layersSchema, '/v1/layers');
  const active = items.map(item => item.active);
  printActivations(terminal, options.output, active, items);
}

/** Beside the bundle of another tenant everything would pass that the guardrails refuse. */
function requirePlatform(bundle: OpenedBundle, folder: string): OpenedBundle {
  const { layer } = bundle.manifest;
  if (layer === 'platform') return bundle;
  throw new CliError(`\`${folder}\` holds a bundle of layer \`${layer}\`, not of the platform layer`, {
    exitCode: EXIT.usage,
    hint: 'name the folder of the platform bundle with --platform',
  });
}

async function openFolder(
  terminal: Terminal,
  compiler: CompilerClient,
  folder: string,
): Promise<OpenedBundle> {
  const { manifest, files, ignored } = await readBundleFolder(folder);
  tellIgnored(terminal, folder, ignored);
  return await compiler.open('json', new TextEncoder().encode(JSON.stringify({ manifest, files })));
}

function tellIgnored(terminal: Terminal, folder: string, ignored: readonly string[]): void {
  if (ignored.length === 0) return;
  const shown = ignored.slice(0, 3).map(printable).join(', ');
  const more = ignored.length > 3 ? `, … ${ignored.length} in all` : '';
  terminal.err(`not part of the bundle in ${printable(folder)}: ${shown}${more}\n`);
}

function printReport(
  terminal: Terminal,
  format: OutputFormat,
  { layer, digest, state }: { readonly layer: string; readonly digest: string; readonly state: string },
  report: BundleReport | z.output<typeof reportSchema>,
  testsRan: boolean,
): void {
  const { policies, tests, warnings } = report;
  const outcome = testsRan ? `${tests.passed} passed, ${tests.failed} failed` : 'not run';
  printData(terminal, format, { digest, layer, state, report }, () => ({
    columns: ['layer', 'state', 'policies', 'tests', 'digest'],
    rows: [[layer, state, String(policies), outcome, digest]],
  }));
  printWarnings(terminal, warnings);
}

function printWarnings(
  terminal: Terminal,
  warnings: readonly (Problem | z.output<typeof problemSchema>)[],
): void {
  for (const warning of warnings)
    terminal.err(`${colorsOf(terminal).yellow('warning')}: ${describe(warning)}\n`);
}

function describe({ file, line, column, message }: Problem | z.output<typeof problemSchema>): string {
  const place = [file, line, column].filter(part => part !== undefined).join(':');
  return printable(place === '' ? message : `${place}: ${message}`);
}

function printActivations(
  terminal: Terminal,
  format: OutputFormat,
  activations: readonly ActivationView[],
  value: unknown,
): void {
  printData(terminal, format, value, () => ({
    columns: ['layer', 'digest', 'at', 'kind', 'actor', 'reason'],
    rows: activations.map(({ layer, digest, at, kind, actor, reason }) => [
      layer,
      digest,
      at,
      kind,
      actor,
      reason,
    ]),
  }));
}
