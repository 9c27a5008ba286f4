/**
 * A whole graph from stored records under one schema, at start and when the schema changes. Invariant: every
 * entity of the graph has passed the schema that it was built with, or there is no graph.
 */
import type { Clock } from '../domain/clock.ts';
import type { EntityRecord } from '../domain/entity.ts';
import type { Problem } from '../domain/errors.ts';
import { recordOf } from './entity-checks.ts';
import { DirectoryGraph } from './graph.ts';
import { GraphEditor } from './graph-editor.ts';
import { uidOf } from './lineage.ts';
import { Pacer } from './pacing.ts';
import type { EntityParser } from './ports.ts';
import { ownerOf } from './tenancy.ts';

/** Most problems that one rebuild reports. */
const MAX_PROBLEMS = 100;

export type Rebuilt =
  | { readonly graph: DirectoryGraph; readonly problems: readonly [] }
  | { readonly graph: undefined; readonly problems: readonly Problem[] };

/**
 * Parses every record and computes all ancestors, pausing so that decisions go on.
 * Parents that must be entities are not demanded again: one that was deleted leaves its members as they are.
 */
export async function rebuild(
  records: AsyncIterable<readonly EntityRecord[]> | Iterable<readonly EntityRecord[]>,
  revision: number,
  parser: EntityParser,
  clock: Clock,
): Promise<Rebuilt> {
  const editor = new GraphEditor(DirectoryGraph.empty());
  const pacer = new Pacer(clock);
  const problems: Problem[] = [];
  for await (const chunk of records) {
    for (const record of chunk) {
      const found = addRecord(editor, parser, record);
      problems.push(...found.slice(0, MAX_PROBLEMS - problems.length));
      if (pacer.due) await pacer.pause();
    }
    if (problems.length >= MAX_PROBLEMS) return { graph: undefined, problems };
  }
  problems.push(...(await pacer.run(editor.settle())));
  if (problems.length > 0) return { graph: undefined, problems: problems.slice(0, MAX_PROBLEMS) };
  return { graph: editor.finish(revision), problems: [] };
}

function addRecord(editor: GraphEditor, parser: EntityParser, record: EntityRecord): readonly Problem[] {
  const { ref, attributes, tags, status, revision, updatedAt } = record;
  const body = { attributes, tags, status, parents: record.parents };
  const uid = uidOf(ref);
  const parsed = parser.parse(ref, body);
  if (!parsed.ok) {
    return parsed.problems.map(problem => ({ ...problem, message: `\`${uid.key}\`: ${problem.message}` }));
  }
  const tenant = ownerOf(ref, parsed.attributes);
  const json = JSON.stringify({ attributes: parsed.body.attributes, tags: parsed.body.tags });
  editor.put({
    uid,
    attributes: parsed.attributes,
    tags: parsed.tags,
    parents: record.parents,
    status,
    revision,
    updatedAt,
    tenant,
    json,
  });
  return [];
}

/** Records of a graph in the size of the store's chunks. */
export function* recordChunks(graph: DirectoryGraph): IterableIterator<readonly EntityRecord[]> {
  let chunk: EntityRecord[] = [];
  for (const [, entity] of graph.parts.entities.entries()) {
    chunk.push(recordOf(entity));
    if (chunk.length >= 200) {
      yield chunk;
      chunk = [];
    }
  }
  if (chunk.length > 0) yield chunk;
}
