/** Short ways to write graphs in tests: entities as `Type/id` with their parents. */
import { EntityUid, RecordValue } from '../../src/domain/value.ts';
import type { EntityRef } from '../../src/domain/ids.ts';
import type { DirectoryGraph, GraphRecord } from '../../src/directory/graph.ts';
import { GraphEditor, type GraphProblem } from '../../src/directory/graph-editor.ts';

/** `Team/a` → `{type: 'Team', id: 'a'}`; the id may contain further slashes. */
export function ref(text: string): EntityRef {
  const slash = text.indexOf('/');
  return { type: text.slice(0, slash), id: text.slice(slash + 1) };
}

/** `Team/a` → `AI::Team::"a"`. */
export function key(text: string): string {
  const { type, id } = ref(text);
  return new EntityUid(`AI::${type}`, id).key;
}

function record(text: string, parents: readonly string[] = [], revision = 1): GraphRecord {
  const { type, id } = ref(text);
  const empty = new RecordValue(new Map());
  return {
    uid: new EntityUid(`AI::${type}`, id),
    attributes: empty,
    tags: empty,
    parents: parents.map(ref),
    status: 'active',
    revision,
    updatedAt: '2026-01-01T00:00:00.000Z',
    tenant: id.includes('/') ? id.slice(0, id.indexOf('/')) : undefined,
    json: '{}',
  };
}

/** Writes: parents to put, null to delete. */
export type Edits = Readonly<Record<string, readonly string[] | null>>;

/** Applies edits in one step. @returns the new graph, or what is wrong with it */
export function tryEdit(graph: DirectoryGraph, edits: Edits): DirectoryGraph | readonly GraphProblem[] {
  const editor = new GraphEditor(graph);
  for (const [text, parents] of Object.entries(edits)) {
    if (parents === null) editor.delete(key(text));
    else editor.put(record(text, parents, graph.revision + 1));
  }
  const problems = settle(editor);
  return problems.length > 0 ? problems : editor.finish(graph.revision + 1);
}

export function edit(graph: DirectoryGraph, edits: Edits): DirectoryGraph {
  const result = tryEdit(graph, edits);
  if ('revision' in result) return result;
  throw new Error(result.map(({ message }) => message).join('; '));
}

function settle(editor: GraphEditor): readonly GraphProblem[] {
  const steps = editor.settle();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Ancestors as `Type/id`, sorted. */
export function ancestors(graph: DirectoryGraph, text: string): readonly string[] | undefined {
  const entity = graph.get(key(text));
  return entity && [...entity.ancestors].map(one => one.slice(4).replace('::"', '/').slice(0, -1)).sort();
}
