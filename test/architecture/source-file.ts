/**
 * Reads TypeScript sources into the few facts that the house rules speak about: imports, functions, calls.
 * Invariant: positions come from a real parser, so text inside strings and comments is never taken for code.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { parseAst } from 'vitest/node';

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly line: number;
}

/** A function, method or arrow function with the number of lines from its first to its last. */
interface FunctionSpan {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

/** An expression that the bans may name: `Date.now`, `new Date`, `console.log`, `process.env`. */
interface Use {
  readonly text: string;
  readonly line: number;
}

/** A statement at the top level, as the rule against work at import time sees it. */
export interface TopLevel {
  readonly kind: 'declaration' | 'effect' | 'mutable' | 'call' | 'state' | 're-export' | 'default-export';
  readonly text: string;
  readonly line: number;
}

export interface SourceFile {
  /** Relative to the repository, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly lineCount: number;
  readonly imports: readonly Import[];
  readonly functions: readonly FunctionSpan[];
  readonly uses: readonly Use[];
  readonly topLevel: readonly TopLevel[];
}

interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [key: string]: unknown;
}

const FUNCTION_TYPES = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression']);
const DECLARATIONS = new Set([
  'FunctionDeclaration',
  'ClassDeclaration',
  'TSTypeAliasDeclaration',
  'TSInterfaceDeclaration',
  'TSDeclareFunction',
  'TSModuleDeclaration',
]);
/** Modules whose functions compute from their arguments alone. */
const PURE_MODULES = new Set(['zod', 'node:path', 'node:url']);
/** Containers that are shared, mutable state when they are made empty at the top level. */
const CONTAINERS = new Set(['Map', 'Set', 'WeakMap', 'WeakSet', 'Array']);

/** Every `.ts` file below `folder` (relative to `root`), sorted. */
export function listSources(root: string, folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
    .map(entry => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

export function readSource(root: string, path: string): SourceFile {
  return parseSource(path, readFileSync(join(root, path), 'utf8'));
}

/** @throws SyntaxError when the text is not TypeScript. */
export function parseSource(path: string, text: string): SourceFile {
  const program: unknown = parseAst(text, { lang: 'ts' });
  if (!isNode(program)) throw new Error(`the parser returned no program for \`${path}\``);
  const lineOf = lineLocator(text);
  const imports: Import[] = [];
  const functions: FunctionSpan[] = [];
  const uses: Use[] = [];
  const visit = (node: Node, name: string): void => {
    collectImport(node, lineOf, imports);
    collectUse(node, lineOf, uses);
    if (FUNCTION_TYPES.has(node.type)) {
      const line = lineOf(node.start);
      functions.push({ name: nameOf(node['id']) ?? name, line, lines: lineOf(node.end) - line + 1 });
    }
    const named = nameOf(node['key']) ?? nameOf(node['id']) ?? name;
    for (const child of children(node)) visit(child, named);
  };
  visit(program, '(anonymous)');
  return {
    path,
    text,
    lineCount: text.trimEnd().split('\n').length,
    imports,
    functions,
    uses,
    topLevel: nodes(program['body']).flatMap(node =>
      topLevelOf(node, lineOf, importedFrom(imports, program)),
    ),
  };
}

function topLevelOf(
  node: Node,
  lineOf: (offset: number) => number,
  foreign: ReadonlySet<string>,
): TopLevel[] {
  const line = lineOf(node.start);
  if (node.type === 'ImportDeclaration') return [];
  if (node.type === 'ExportDefaultDeclaration') return [{ kind: 'default-export', text: 'default', line }];
  if (node.type === 'ExportAllDeclaration') return [{ kind: 're-export', text: 'export *', line }];
  if (node.type === 'ExportNamedDeclaration') {
    const inner = node['declaration'];
    if (isNode(inner)) return topLevelOf(inner, lineOf, foreign);
    return [{ kind: isNode(node['source']) ? 're-export' : 'declaration', text: 'export', line }];
  }
  if (DECLARATIONS.has(node.type)) return [{ kind: 'declaration', text: nameOf(node['id']) ?? '', line }];
  if (node.type === 'VariableDeclaration') return variablesOf(node, line, foreign);
  return [{ kind: 'effect', text: node.type, line }];
}

function variablesOf(node: Node, line: number, foreign: ReadonlySet<string>): TopLevel[] {
  if (node['kind'] !== 'const') return [{ kind: 'mutable', text: String(node['kind']), line }];
  return nodes(node['declarations']).map(declarator => {
    const text = nameOf(declarator['id']) ?? '(pattern)';
    const init = declarator['init'];
    if (!isNode(init)) return { kind: 'declaration', text, line };
    if (isEmptyContainer(init) && !isReadonly(declarator['id'])) return { kind: 'state', text, line };
    const called = foreignCall(init, foreign);
    return called === undefined ? { kind: 'declaration', text, line } : { kind: 'call', text: called, line };
  });
}

/** A call at import time of something that came from a node module or a package, looked for outside functions. */
function foreignCall(node: Node, foreign: ReadonlySet<string>): string | undefined {
  if (FUNCTION_TYPES.has(node.type)) return undefined;
  if (node.type === 'CallExpression' || node.type === 'NewExpression') {
    const callee = pathOf(node['callee']);
    if (callee !== undefined && foreign.has(callee.split('.')[0] ?? '')) return callee;
  }
  if (node.type === 'AwaitExpression') return 'await';
  for (const child of children(node)) {
    const found = foreignCall(child, foreign);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Local names of what is imported from node modules and packages that can have effects. */
function importedFrom(imports: readonly Import[], program: Node): ReadonlySet<string> {
  const foreign = new Set(
    imports
      .filter(({ specifier }) => !specifier.startsWith('.') && !PURE_MODULES.has(specifier))
      .map(i => i.specifier),
  );
  const names = new Set<string>();
  for (const node of nodes(program['body'])) {
    if (node.type !== 'ImportDeclaration' || !foreign.has(literalOf(node['source']) ?? '')) continue;
    for (const specifier of nodes(node['specifiers'])) names.add(nameOf(specifier['local']) ?? '');
  }
  return names;
}

function isEmptyContainer(node: Node): boolean {
  if (node.type === 'ArrayExpression') return nodes(node['elements']).length === 0;
  if (node.type !== 'NewExpression' || nodes(node['arguments']).length > 0) return false;
  return CONTAINERS.has(nameOf(node['callee']) ?? '');
}

/** Whether a variable is declared as a read-only container, which stays empty. */
function isReadonly(id: unknown): boolean {
  const annotation = isNode(id) ? id['typeAnnotation'] : undefined;
  const type = isNode(annotation) ? annotation['typeAnnotation'] : undefined;
  if (!isNode(type)) return false;
  if (type.type === 'TSTypeOperator') return type['operator'] === 'readonly';
  return /^Readonly(Map|Set|Array)$/.test(nameOf(type['typeName']) ?? '');
}

function collectImport(node: Node, lineOf: (offset: number) => number, into: Import[]): void {
  const statement =
    node.type === 'ImportDeclaration' ||
    node.type === 'ExportNamedDeclaration' ||
    node.type === 'ExportAllDeclaration' ||
    node.type === 'ImportExpression';
  const specifier = statement ? literalOf(node['source']) : undefined;
  if (specifier === undefined) return;
  const typeOnly = node['importKind'] === 'type' || node['exportKind'] === 'type';
  into.push({ specifier, typeOnly, line: lineOf(node.start) });
}

function collectUse(node: Node, lineOf: (offset: number) => number, into: Use[]): void {
  const line = lineOf(node.start);
  if (node.type === 'NewExpression') {
    const callee = pathOf(node['callee']);
    if (callee !== undefined) into.push({ text: `new ${callee}`, line });
  } else if (node.type === 'MemberExpression') {
    const path = pathOf(node);
    if (path !== undefined) into.push({ text: path, line });
  } else if (node.type === 'CallExpression') {
    const callee = nameOf(node['callee']);
    if (callee !== undefined) into.push({ text: `${callee}()`, line });
  }
}

/** `a.b.c` of a chain of plain member accesses, `this` excluded. */
function pathOf(value: unknown): string | undefined {
  if (!isNode(value)) return undefined;
  if (value.type === 'Identifier') return nameOf(value);
  if (value.type !== 'MemberExpression') return undefined;
  const left = pathOf(value['object']);
  const right = value['computed'] === true ? literalOf(value['property']) : nameOf(value['property']);
  return left === undefined || right === undefined ? undefined : `${left}.${right}`;
}

function children(node: Node): readonly Node[] {
  return Object.entries(node).flatMap(([key, value]) => (key === 'parent' ? [] : [...nodes(value)]));
}

function nodes(value: unknown): readonly Node[] {
  if (Array.isArray(value)) return value.filter(isNode);
  return isNode(value) ? [value] : [];
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value;
}

function nameOf(value: unknown): string | undefined {
  const name = isNode(value) ? value['name'] : undefined;
  return typeof name === 'string' ? name : undefined;
}

function literalOf(value: unknown): string | undefined {
  const literal = isNode(value) ? value['value'] : undefined;
  return typeof literal === 'string' ? literal : undefined;
}

/** Maps an offset to its 1-based line. */
function lineLocator(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return offset => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low + 1;
  };
}
