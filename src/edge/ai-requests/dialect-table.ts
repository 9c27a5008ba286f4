/**
 * Finds the row of a request. Invariant: paths match exactly, segment by segment; a row that has no match means
 * that the request is not understood. Where two families of a gateway claim a path, the one named first has it.
 */
import { type DialectRow, fillTemplate, type PathParts } from './dialect.ts';
import { decodeSegment } from './request-target.ts';
import { makeRows } from './dialect-families.ts';
import type { DialectFamily } from '../../domain/pep-profile.ts';

/** A template segment: what stands before and after the part in braces. */
interface Pattern {
  readonly before: string;
  readonly part: string | undefined;
  readonly after: string;
}

interface CompiledRow {
  readonly row: DialectRow;
  readonly segments: readonly Pattern[];
}

/** A row with the parts of the path. */
export interface RowMatch {
  readonly row: DialectRow;
  readonly parts: PathParts;
}

export class DialectTable {
  /** By `METHOD/path` for rows without parts. */
  readonly #literal = new Map<string, DialectRow>();
  /** By `METHOD/number of segments`. */
  readonly #patterns = new Map<string, CompiledRow[]>();

  constructor(families: readonly DialectFamily[]) {
    for (const family of families) for (const row of makeRows(family)) this.#add(row);
  }

  /** @param segments of the path, percent-encoded. @throws RequestRefused INPUT_REJECTED */
  find(method: string, segments: readonly string[]): RowMatch | undefined {
    const literal = this.#literal.get(`${method}/${segments.join('/')}`);
    if (literal !== undefined) return { row: literal, parts: new Map() };
    for (const { row, segments: patterns } of this.#patterns.get(`${method}/${segments.length}`) ?? []) {
      const parts = matchSegments(patterns, segments);
      if (parts !== undefined) return { row, parts };
    }
    return undefined;
  }

  #add(row: DialectRow): void {
    const segments = row.path.slice(1).split('/');
    for (const method of row.methods) {
      if (!row.path.includes('{')) {
        const key = `${method}${row.path}`;
        if (!this.#literal.has(key)) this.#literal.set(key, row);
        continue;
      }
      const key = `${method}/${segments.length}`;
      const known = this.#patterns.get(key) ?? [];
      known.push({ row, segments: segments.map(compileSegment) });
      this.#patterns.set(key, known);
    }
  }
}

/** The name of the model that a match gives by its path; undefined when the path names none. */
export function modelOfPath({ row, parts }: RowMatch): string | undefined {
  return row.model === undefined ? undefined : fillTemplate(row.model, parts);
}

function compileSegment(template: string): Pattern {
  const match = /^([^{]*)\{(\w+)\}([^{]*)$/.exec(template);
  if (match === null) return { before: template, part: undefined, after: '' };
  return { before: match[1] ?? '', part: match[2], after: match[3] ?? '' };
}

function matchSegments(patterns: readonly Pattern[], segments: readonly string[]): PathParts | undefined {
  const parts = new Map<string, string>();
  for (const [at, { before, part, after }] of patterns.entries()) {
    const segment = segments[at] ?? '';
    if (part === undefined) {
      if (segment !== before) return undefined;
      continue;
    }
    const isFit = segment.length > before.length + after.length;
    if (!isFit || !segment.startsWith(before) || !segment.endsWith(after)) return undefined;
    const piece = segment.slice(before.length, segment.length - after.length);
    parts.set(part, piece);
  }
  for (const [name, piece] of parts) parts.set(name, decodeSegment(piece));
  return parts;
}
