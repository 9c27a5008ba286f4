/**
 * The configuration: defaults, then a file, then the environment. Invariant: an unknown key, an unknown
 * `DURAMEN_` variable or a value out of range stops the start; nothing is ignored silently.
 */
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { CONFIG_FILE_VARIABLE, ENV_PREFIX, listSettings, type Setting } from './config/setting-list.ts';
import { type Config, configSchema } from './config/settings.ts';
import { messageOf, type Problem } from './domain/errors.ts';
import { wordsOf } from './domain/schema-issue.ts';
import { nearest } from './domain/spelling.ts';

/** Variables of the command line client, which the service tolerates in its environment. */
const CLIENT_VARIABLES = ['DURAMEN_URL', 'DURAMEN_KEY', 'DURAMEN_DOCTOR_AUTHORIZATION'];
/** Largest configuration file in characters: a few dozen short values, and issuers with their tables. */
const MAX_FILE_LENGTH = 262_144;

/** Why the service refuses to start. Every problem is listed. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[]) {
    const lines = problems.map(({ message, hint }) =>
      hint === undefined ? message : `${message} (${hint})`,
    );
    super(`the configuration is not valid: ${lines.join('; ')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** What is shown in the place of a secret. */
export const SECRET = '(secret)';

/** One setting as it is in force. */
interface EffectiveSetting {
  readonly name: string;
  readonly env: string;
  /** JSON; null where there is none, `(secret)` for a secret. */
  readonly value: unknown;
  /** `default`, the path of the file, or the name of the variable. */
  readonly source: string;
}

export interface LoadedConfig {
  readonly config: Config;
  /** Every setting with its value and where it came from; secrets are not shown. */
  readonly effective: () => readonly EffectiveSetting[];
}

export interface ConfigSources {
  /** The environment of the process. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads the file that `DURAMEN_CONFIG` names; may throw. */
  readonly readFile: (path: string) => string;
  /** Settings by name that win over everything, such as options of the command line. */
  readonly overrides?: Readonly<Record<string, unknown>>;
}

interface Given {
  readonly value: unknown;
  readonly source: string;
}

/** @throws ConfigError with every problem at once. */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const settings = listSettings();
  const problems: Problem[] = [];
  const given = new Map<string, Given>();
  readFileSettings(sources, settings, given, problems);
  readEnvironment(sources.env, settings, given, problems);
  for (const [name, value] of Object.entries(sources.overrides ?? {})) {
    const known = settings.some(setting => setting.name === name);
    if (known) given.set(name, { value, source: 'command line' });
    else
      problems.push(
        unknownName(
          'setting',
          name,
          settings.map(setting => setting.name),
        ),
      );
  }
  const nested = nest(settings, given);
  const parsed = configSchema.safeParse(nested);
  if (!parsed.success)
    problems.push(...parsed.error.issues.map(issue => valueProblem(issue, nested, settings, given)));
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems);
  const config = parsed.data;
  return { config, effective: () => settings.map(setting => effectiveOf(setting, config, given)) };
}

function readFileSettings(
  { env, readFile }: ConfigSources,
  settings: readonly Setting[],
  given: Map<string, Given>,
  problems: Problem[],
): void {
  const path = env[CONFIG_FILE_VARIABLE];
  if (path === undefined || path === '') return;
  const content = parseFile(path, readFile, problems);
  if (content === undefined) return;
  const flat: [string, unknown][] = [];
  flatten(content, '', new Set(settings.map(setting => setting.name)), flat);
  for (const [name, value] of flat) {
    if (settings.some(setting => setting.name === name)) given.set(name, { value, source: path });
    else
      problems.push({
        ...unknownName(
          'setting',
          name,
          settings.map(setting => setting.name),
        ),
        file: path,
      });
  }
}

function parseFile(
  path: string,
  readFile: (path: string) => string,
  problems: Problem[],
): Readonly<Record<string, unknown>> | undefined {
  try {
    const text = readFile(path);
    if (text.length > MAX_FILE_LENGTH) throw new Error(`it has more than ${MAX_FILE_LENGTH} characters`);
    const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true });
    const [error] = document.errors;
    if (error !== undefined) throw new Error(error.message.split('\n', 1)[0]);
    const content: unknown = document.toJS({ maxAliasCount: 0 });
    if (content === null || content === undefined) return {};
    if (isRecord(content)) return content;
    throw new Error('it must hold a mapping of settings');
  } catch (error) {
    problems.push({
      file: path,
      message: `cannot read the configuration file \`${path}\`: ${messageOf(error)}`,
      hint: `correct the file or ${CONFIG_FILE_VARIABLE}`,
    });
    return undefined;
  }
}

/** Names of leaves: a mapping is followed until a setting's name is reached or it ends. */
function flatten(
  content: Readonly<Record<string, unknown>>,
  prefix: string,
  names: ReadonlySet<string>,
  into: [string, unknown][],
): void {
  for (const [key, value] of Object.entries(content)) {
    const name = prefix + key;
    if (!names.has(name) && isRecord(value) && [...names].some(known => known.startsWith(`${name}.`))) {
      flatten(value, `${name}.`, names, into);
    } else into.push([name, value]);
  }
}

function readEnvironment(
  env: ConfigSources['env'],
  settings: readonly Setting[],
  given: Map<string, Given>,
  problems: Problem[],
): void {
  const byVariable = new Map(settings.map(setting => [setting.env, setting]));
  const known = [...byVariable.keys(), CONFIG_FILE_VARIABLE, ...CLIENT_VARIABLES];
  for (const [variable, text] of Object.entries(env)) {
    if (text === undefined || !variable.startsWith(ENV_PREFIX)) continue;
    const setting = byVariable.get(variable);
    if (setting !== undefined) given.set(setting.name, { value: fromText(setting, text), source: variable });
    else if (!known.includes(variable)) problems.push(unknownName('environment variable', variable, known));
  }
}

/** The value that the text of a variable stands for; text that is no integer stays text and fails later. */
function fromText(setting: Setting, text: string): unknown {
  if (setting.kind === 'integer') return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
  if (setting.kind !== 'list') return text;
  if (text.trimStart().startsWith('[')) return fromJson(text);
  return text.trim() === '' ? [] : text.split(',').map(item => item.trim());
}

/** Lists of objects are written as JSON; text that is none stays text and fails later. */
function fromJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    return text;
  }
}

function nest(settings: readonly Setting[], given: ReadonlyMap<string, Given>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const { name, path } of settings) {
    const entry = given.get(name);
    if (entry === undefined) continue;
    let target = root;
    for (const part of path.slice(0, -1)) {
      const existing = target[part];
      const next = isRecord(existing) ? existing : {};
      target[part] = next;
      target = next;
    }
    target[path.at(-1) ?? name] = entry.value;
  }
  return root;
}

function valueProblem(
  issue: z.core.$ZodIssue,
  root: unknown,
  settings: readonly Setting[],
  given: ReadonlyMap<string, Given>,
): Problem {
  const path = issue.path.map(String);
  const setting = settings.find(({ path: own }) => own.every((part, index) => part === path[index]));
  const name = setting?.name ?? path.join('.');
  const source = given.get(name)?.source ?? 'default';
  const { message } = wordsOf(issue, root);
  // of a list of objects the place inside it: `identity.issuers[0].audiences`
  const inside = path
    .slice(setting?.path.length ?? path.length)
    .map(part => (/^\d+$/.test(part) ? `[${part}]` : `.${part}`));
  // the range is that of the setting, not of what lies inside
  const isWhole = inside.length === 0 && setting !== undefined && setting.range !== '';
  const range = isWhole ? `allowed: ${setting.range}` : undefined;
  return {
    message: `\`${name}${inside.join('')}\` from ${source}: ${message}`,
    ...(range === undefined ? {} : { hint: range }),
  };
}

function unknownName(what: string, name: string, known: readonly string[]): Problem {
  const near = nearest(name, known);
  return {
    message: `unknown ${what} \`${name}\``,
    hint: near === undefined ? 'docs/configuration.md lists every setting' : `did you mean \`${near}\`?`,
  };
}

function effectiveOf(setting: Setting, config: Config, given: ReadonlyMap<string, Given>): EffectiveSetting {
  let value: unknown = config;
  for (const part of setting.path) value = isRecord(value) ? value[part] : undefined;
  return {
    name: setting.name,
    env: setting.env,
    value: value === undefined ? null : setting.secret ? SECRET : value,
    source: given.get(setting.name)?.source ?? 'default',
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
