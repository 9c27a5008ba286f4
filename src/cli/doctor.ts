/**
 * `duramen doctor`: probes a live gateway as an attacker would. Invariants: what it tries is harmless to the gateway
 * (bounded, sequential, closed lists); credentials come from the environment and are in nothing that is printed; the
 * service is started again whatever happens while it is down.
 */
import { spawn } from 'node:child_process';
import { type Command, Option } from 'commander';
import { z } from 'zod';
import { messageOf } from '../domain/errors.ts';
import { CliError, EXIT, type ExitCode } from './exit-code.ts';
import { Examination } from './doctor/examination.ts';
import { type OwnUpstream, startUpstream } from './doctor/own-upstream.ts';
import type { Finding, Probe } from './doctor/probe.ts';
import { allowedRequest, type Plan } from './doctor/plan.ts';
import { makeProbes } from './doctor/probes.ts';
import type { Target } from './doctor/raw-client.ts';
import { printData } from './table.ts';
import { colorsOf, Progress, type Terminal } from './terminal.ts';

/** Where the credential of a caller is taken from. */
const AUTHORIZATION = 'DURAMEN_DOCTOR_AUTHORIZATION';
const CHAT = '/v1/chat/completions';
/** How long a command of the operator may take, in milliseconds. */
const COMMAND_MS = 60_000;

const seconds = z
  .string()
  .regex(/^\d{1,4}$/, 'must be a number of seconds')
  .transform(Number);
const options = z.object({
  path: z
    .string()
    .regex(/^\/[\x21-\x7e]*$/, 'must be a path')
    .default(CHAT),
  body: z.string().optional(),
  model: z.string().max(256).default('duramen-doctor-model'),
  identityHeader: z
    .array(z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'must be a name of a header'))
    .max(16)
    .default([]),
  maxBodyBytes: z
    .string()
    .regex(/^\d{4,8}$/, 'must be a number of bytes')
    .transform(Number)
    .prefault('1048576'),
  asUpstream: z.string().optional(),
  stopPdp: z.string().optional(),
  startPdp: z.string().optional(),
  insecure: z.boolean(),
  strict: z.boolean(),
  timeout: seconds.prefault('10'),
  totalTime: seconds.prefault('300'),
  output: z.enum(['table', 'json']),
});
type Options = z.output<typeof options>;

/** Adds the command. */
export function addDoctor(
  program: Command,
  terminal: Terminal,
  exit: (code: ExitCode) => void,
  collect: (value: string, previous: unknown) => string[],
): void {
  program
    .command('doctor')
    .description('probe a live gateway with requests that must not get through; exit code 5 when one does')
    .argument('<url>', 'where clients reach the gateway')
    .option('--path <path>', 'path of a request that is allowed', CHAT)
    .option('--body <json>', 'its body; default: a chat with --model')
    .option('--model <name>', 'a model that the caller may use, as requests name it')
    .option('--identity-header <name>', 'by which the gateway names callers; may be repeated', collect)
    .option('--max-body-bytes <number>', 'largest body that the profile takes', '1048576')
    .option('--as-upstream <host:port>', 'stand in for the models there, and see what gets through')
    .option('--stop-pdp <command>', 'stops Duramen: nothing may get through then')
    .option('--start-pdp <command>', 'starts it again')
    .option('--insecure', 'take any certificate of the gateway', false)
    .option('--strict', 'what cannot be told counts as a failure', false)
    .option('--timeout <seconds>', 'for one request', '10')
    .option('--total-time <seconds>', 'for all of them', '300')
    .addOption(
      new Option('-o, --output <format>', 'form of the data on stdout')
        .choices(['table', 'json'])
        .default('table'),
    )
    .addHelpText(
      'after',
      `\n${AUTHORIZATION} holds the Authorization header of a caller who may make the request; without it most` +
        '\nprobes cannot prove anything. A few requests reach the models; they ask for one token.',
    )
    .action(async (url: string, given: unknown) => {
      exit(await examine(terminal, url, optionsOf(given)));
    });
}

function optionsOf(given: unknown): Options {
  const parsed = options.safeParse(given);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new CliError(`--${String(issue?.path[0])}: ${issue?.message ?? 'is not valid'}`, {
    exitCode: EXIT.usage,
  });
}

async function examine(terminal: Terminal, url: string, given: Options): Promise<ExitCode> {
  const target = targetOf(url, given.insecure);
  const plan = planOf(terminal, given);
  const upstream = given.asUpstream === undefined ? undefined : await startUpstream(given.asUpstream);
  const progress = new Progress(terminal);
  try {
    const examination = new Examination({
      target,
      upstream,
      timeoutMs: given.timeout * 1000,
      totalMs: given.totalTime * 1000,
      hasCaller: plan.authorization !== undefined,
      path: plan.path,
      clock: terminal.clock,
      onProgress: what => progress.show(what),
    });
    const findings: Finding[] = [];
    for (const probe of makeProbes(plan)) findings.push(await examination.try(probe));
    if (given.stopPdp !== undefined) findings.push(await withoutPdp(plan, given, examination));
    progress.done();
    report(terminal, url, findings, examination.sent, given.output, upstream);
    return findings.some(({ outcome }) => isFailure(outcome, given.strict)) ? EXIT.gateFailed : EXIT.ok;
  } finally {
    await upstream?.close();
  }
}

function isFailure(outcome: Finding['outcome'], strict: boolean): boolean {
  return outcome === 'fail' || (strict && outcome === 'inconclusive');
}

function planOf(terminal: Terminal, given: Options): Plan {
  const { path, model, identityHeader, maxBodyBytes } = given;
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 1 });
  const authorization = terminal.env[AUTHORIZATION] ?? '';
  if (/[\r\n\0]/.test(authorization)) {
    throw new CliError(`${AUTHORIZATION} is no value of a header`, { exitCode: EXIT.usage });
  }
  return {
    path,
    body: given.body ?? body,
    model,
    authorization: authorization === '' ? undefined : authorization,
    identityHeaders: identityHeader,
    maxBodyBytes,
  };
}

function targetOf(text: string, insecure: boolean): Target {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (url === undefined || !isWeb || url.pathname !== '/' || url.username !== '') {
    throw new CliError(`\`${text.replace(/\/\/[^/]*@/, '//')}\` is not the address of a gateway`, {
      exitCode: EXIT.usage,
      hint: 'give it the form https://llm.example',
    });
  }
  const isTls = url.protocol === 'https:';
  return {
    isTls,
    host: url.hostname.replaceAll(/[[\]]/g, ''),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    authority: url.host,
    insecure,
  };
}

/** Stops the service, tries what is allowed, and starts it again. */
async function withoutPdp(plan: Plan, given: Options, examination: Examination): Promise<Finding> {
  const probe: Probe = {
    id: 'pdp-down',
    group: 'failure',
    what: 'a request that is allowed, while Duramen is down',
    expects: 'refused',
    needsCaller: true,
    attempts: [{ label: plan.path, request: allowedRequest(plan) }],
    danger: 'whoever brings Duramen down, or slows it, reaches the models',
    fix: 'fail closed: `failure_mode_allow: false`, `failOpen: false`, `allow_degradation: false`, and no rule that lets pass what was not decided',
  };
  try {
    await runCommand(given.stopPdp ?? '');
    const finding = await examination.try(probe);
    // no answer, or an error without a reason, is what failing closed looks like
    return finding.outcome === 'inconclusive' && examination.controlPassed
      ? { ...finding, outcome: 'pass', meaning: 'nothing gets through' }
      : finding;
  } finally {
    if (given.startPdp !== undefined) await runCommand(given.startPdp);
  }
}

/** @throws CliError when it does not end well */
function runCommand(command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, { shell: true, stdio: 'ignore', timeout: COMMAND_MS });
    child.once('error', error => reject(new CliError(`\`${command}\` failed: ${messageOf(error)}`)));
    child.once('exit', code => {
      if (code === 0) resolve();
      else reject(new CliError(`\`${command}\` ended with ${code ?? 'a signal'}`));
    });
  });
}

function report(
  terminal: Terminal,
  url: string,
  findings: readonly Finding[],
  requests: number,
  output: 'table' | 'json',
  upstream: OwnUpstream | undefined,
): void {
  const count = (wanted: Finding['outcome']): number =>
    findings.filter(({ outcome }) => outcome === wanted).length;
  const summary = { pass: count('pass'), fail: count('fail'), inconclusive: count('inconclusive') };
  const seesUpstream = upstream !== undefined;
  printData(terminal, output, { url, requests, seesUpstream, summary, findings }, () => ({
    columns: ['outcome', 'probe', 'seen', 'what it means'],
    rows: findings.map(({ outcome, id, seen, meaning }) => [outcome, id, seen, meaning]),
  }));
  if (output === 'json') return;
  const colors = colorsOf(terminal);
  for (const { id, outcome, fix } of findings) {
    if (outcome === 'fail') terminal.err(`${colors.red('fix')} ${id}: ${fix ?? ''}\n`);
  }
  const [hint] = findings.filter(({ outcome }) => outcome === 'inconclusive').map(({ fix }) => fix);
  if (hint !== undefined) terminal.err(`${colors.cyan('hint')}: ${hint}\n`);
  const { pass, fail, inconclusive } = summary;
  terminal.err(`${requests} requests: ${pass} passed, ${fail} failed, ${inconclusive} cannot be told\n`);
}
