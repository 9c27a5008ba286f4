/**
 * The house rules as pure functions from a parsed source file to findings. Each finding names the file, the
 * line and what to write instead; rules.test.ts proves of each rule that it can fail.
 */
import { CRYPTO_FILES, LAYERS, type Layer, TOP_LEVEL } from './layers.ts';
import type { SourceFile, TopLevel } from './source-file.ts';

/** Most lines of a file. */
export const MAX_FILE_LINES = 400;
/** Most lines of the file at the 90th percentile. */
export const MAX_P90_LINES = 300;
/** Most lines of a function: one screen. */
export const MAX_FUNCTION_LINES = 60;

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** One exception to a ban, which must say why and must be in use. */
export interface Exception {
  readonly file: string;
  readonly ban: string;
  readonly reason: string;
}

interface Ban {
  readonly name: string;
  readonly matches: (use: string) => boolean;
  readonly instead: string;
}

const BANS: readonly Ban[] = [
  {
    name: 'clock',
    matches: use =>
      /^(globalThis\.)?(Date\.now|new Date|performance\.now|process\.hrtime(\.bigint)?)$/.test(use),
    instead: 'take a `Clock` (domain/clock.ts) as a constructor argument',
  },
  {
    name: 'randomness',
    matches: use =>
      /^Math\.random$|(^|\.)(randomUUID|randomBytes|randomInt|randomFillSync|getRandomValues)(\(\))?$/.test(
        use,
      ),
    instead: 'take an `IdSource` (domain/clock.ts) or a byte source as a constructor argument',
  },
  {
    name: 'environment',
    matches: use => /^(globalThis\.)?process\.(env|argv|exit|exitCode|cwd)(\.|$)/.test(use),
    instead: 'read it in main.ts or cli.ts and pass it on as configuration',
  },
  {
    name: 'console',
    matches: use => /^(globalThis\.)?console\./.test(use) || /^process\.(stdout|stderr)\./.test(use),
    instead: 'log with the injected logger, or return the text',
  },
];

/** Imports that the layer table does not allow. */
export function checkLayers(file: SourceFile): Finding[] {
  if (TOP_LEVEL.some(pattern => pattern.test(file.path))) return [];
  const layer = layerOf(file.path);
  if (layer === undefined) {
    return [finding(file, 1, 'belongs to no layer: move it into a folder of test/architecture/layers.ts')];
  }
  return file.imports.flatMap(({ specifier, typeOnly, line }) => {
    if (specifier.startsWith('.')) return checkRelative(file, layer, specifier, typeOnly, line);
    if (specifier.startsWith('node:')) return checkNode(file, layer, specifier, line);
    const name = packageName(specifier);
    if (layer.packages.includes(name)) return [];
    const allowed = layer.packages.join(', ') || 'no package';
    return [finding(file, line, `\`${layer.name}\` may not import \`${name}\`; it may use ${allowed}`)];
  });
}

function checkRelative(
  file: SourceFile,
  layer: Layer,
  specifier: string,
  typeOnly: boolean,
  line: number,
): Finding[] {
  if (!specifier.endsWith('.ts') && !specifier.endsWith('.json')) {
    return [finding(file, line, `\`${specifier}\` has no extension: write the \`.ts\``)];
  }
  const target = resolvePath(file.path, specifier);
  const other = layerOf(target)?.name ?? target;
  if (other === layer.name) return [];
  const { layers, types = [] } = layer;
  const allowed =
    layers === 'all' ||
    (layers === 'all but store'
      ? !other.startsWith('store/') && !TOP_LEVEL.some(pattern => pattern.test(target))
      : layers.includes(other));
  if (allowed || (typeOnly && types.includes(other))) return [];
  if (types.includes(other)) {
    return [
      finding(file, line, `\`${layer.name}\` may import types alone from \`${other}\`: use \`import type\``),
    ];
  }
  return [
    finding(file, line, `\`${layer.name}\` may not import \`${other}\`: declare a port, let main.ts wire it`),
  ];
}

function checkNode(file: SourceFile, layer: Layer, specifier: string, line: number): Finding[] {
  if (!layer.node.includes(specifier)) {
    return [
      finding(
        file,
        line,
        `\`${layer.name}\` may not import \`${specifier}\`: take what it does as an argument`,
      ),
    ];
  }
  if (specifier === 'node:crypto' && CRYPTO_FILES[file.path] === undefined) {
    return [
      finding(
        file,
        line,
        'uses `node:crypto` but is not named in CRYPTO_FILES of test/architecture/layers.ts',
      ),
    ];
  }
  return [];
}

/** Banned expressions, minus the exceptions. */
export function checkBans(file: SourceFile, exceptions: readonly Exception[]): Finding[] {
  return file.uses.flatMap(({ text, line }) =>
    BANS.filter(
      ban => ban.matches(text) && !exceptions.some(one => one.file === file.path && one.ban === ban.name),
    ).map(ban => finding(file, line, `\`${text}\` (${ban.name}) is banned here: ${ban.instead}`)),
  );
}

/** Exceptions that no source needs any more. */
export function unusedExceptions(
  files: readonly SourceFile[],
  exceptions: readonly Exception[],
): Exception[] {
  return exceptions.filter(({ file, ban }) => {
    const rule = BANS.find(({ name }) => name === ban);
    const source = files.find(({ path }) => path === file);
    return rule === undefined || source === undefined || !source.uses.some(use => rule.matches(use.text));
  });
}

export function checkFileLength(file: SourceFile): Finding[] {
  if (file.lineCount <= MAX_FILE_LINES) return [];
  return [
    finding(
      file,
      MAX_FILE_LINES + 1,
      `has ${file.lineCount} lines, at most ${MAX_FILE_LINES}: split it by noun`,
    ),
  ];
}

/** The length of the file below which nine tenths of the files stay. */
export function p90(files: readonly SourceFile[]): number {
  const lengths = files.map(({ lineCount }) => lineCount).sort((a, b) => a - b);
  return lengths[Math.ceil(lengths.length * 0.9) - 1] ?? 0;
}

export function checkFunctionLength(file: SourceFile): Finding[] {
  return file.functions
    .filter(({ lines }) => lines > MAX_FUNCTION_LINES)
    .map(({ name, line, lines }) =>
      finding(file, line, `\`${name}\` has ${lines} lines, at most ${MAX_FUNCTION_LINES}: extract a step`),
    );
}

const IMPORT_TIME: Readonly<Record<TopLevel['kind'], string | undefined>> = {
  declaration: undefined,
  effect: 'is a statement at import time: put it into a function that main.ts calls',
  mutable: 'is a mutable module variable: hold it in an object that main.ts makes',
  call: 'is called at import time: call it from a function that main.ts calls',
  state: 'is an empty container at module level, so shared state: hold it in an object that main.ts makes',
  're-export': 're-exports another module: import from where it is declared',
  'default-export': 'is a default export: export it by name',
};

/** Work at import time, module state, barrels and default exports. Entry points may run. */
export function checkTopLevel(file: SourceFile): Finding[] {
  const entry =
    /^src\/(main|cli|(store\/sqlite\/)?[a-z-]+-worker)\.ts$/.test(file.path) || !file.path.startsWith('src/');
  return file.topLevel.flatMap(({ kind, text, line }) => {
    const message = IMPORT_TIME[kind];
    if (message === undefined || (entry && kind !== 'default-export' && kind !== 're-export')) return [];
    return [finding(file, line, `\`${text}\` ${message}`)];
  });
}

/** Names that say nothing, and names that are not kebab-case. */
export function checkName(file: SourceFile): Finding[] {
  const segments = file.path.replace(/(\.test)?\.ts$/, '').split('/');
  return segments.flatMap(segment => {
    if (/^(utils?|helpers?|common|misc|shared)$/.test(segment)) {
      return [finding(file, 1, `\`${segment}\` says nothing: name the file after the noun it holds`)];
    }
    if (segment === 'index') return [finding(file, 1, '`index.ts` is a barrel: import the module itself')];
    if (!/^[a-z0-9]+([-.][a-z0-9]+)*$/.test(segment)) {
      return [finding(file, 1, `\`${segment}\` is not kebab-case`)];
    }
    return [];
  });
}

/** The doc comment that says what the file is and which invariant it keeps. */
export function checkOpening(file: SourceFile): Finding[] {
  const text = file.text.replace(/^#![^\n]*\n/, '');
  if (/^\/\*\*[^*/]/.test(text)) return [];
  return [
    finding(file, 1, 'opens without a doc comment: say in 1 to 4 lines what it is and what it keeps true'),
  ];
}

/** Suppressions carry their reason; nothing is left for later. */
export function checkMarkers(file: SourceFile): Finding[] {
  return file.text.split('\n').flatMap((text, at) => {
    if (/\b(oxlint|eslint)-disable/.test(text) && !/ -- \S/.test(text)) {
      return [finding(file, at + 1, 'a suppression without a reason: add ` -- why`')];
    }
    if (/@ts-(ignore|nocheck|expect-error)\b/.test(text)) {
      return [finding(file, at + 1, 'a type error is hidden: fix the type')];
    }
    if (/\/[/*].*\b(TODO|FIXME|XXX|HACK)\b/.test(text)) {
      return [finding(file, at + 1, 'a marker for later: do it or open an issue')];
    }
    return [];
  });
}

/** The layer a path belongs to: the longest name that fits. */
function layerOf(path: string): Layer | undefined {
  const below = path.replace(/^src\//, '');
  return LAYERS.filter(({ name }) => below === `${name}.ts` || below.startsWith(`${name}/`)).sort(
    (a, b) => b.name.length - a.name.length,
  )[0];
}

function packageName(specifier: string): string {
  const parts = specifier.split('/');
  return specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? specifier);
}

function resolvePath(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function finding(file: SourceFile, line: number, message: string): Finding {
  return { file: file.path, line, message };
}
