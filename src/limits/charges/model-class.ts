/** Classes of models, as limits.json declares them, asked about one model at a time. */
import { NAMESPACE } from '../../domain/names.ts';
import type { ModelFacts } from '../../domain/limit-facts.ts';
import type { ModelClass } from '../../domain/limit-definition.ts';

const MODEL_PREFIX = `${NAMESPACE}::Model::"`;
/** How the keys of all groups of models begin. */
export const GROUP_PREFIX = `${NAMESPACE}::ModelGroup::"`;

/** A class that remembers its last answer: several limits of one plan ask about the same model. */
export class ModelClassTest {
  readonly id: string;
  readonly #models: readonly string[];
  readonly #groups: readonly string[];
  readonly #stages: ReadonlySet<string>;
  readonly #minRisk: number;
  #asked: ModelFacts | undefined;
  #answer = false;

  constructor(declared: ModelClass) {
    this.id = declared.id;
    this.#models = (declared.models ?? []).map(id => modelKey(id));
    this.#groups = (declared.modelGroups ?? []).map(id => groupKey(id));
    this.#stages = new Set(declared.stages);
    this.#minRisk = declared.minRisk ?? Number.POSITIVE_INFINITY;
  }

  has(model: ModelFacts): boolean {
    if (this.#asked !== model) {
      this.#answer = this.#test(model);
      this.#asked = model;
    }
    return this.#answer;
  }

  #test({ uid, ancestors, stage, risk }: ModelFacts): boolean {
    if (stage !== undefined && this.#stages.has(stage)) return true;
    if (risk !== undefined && risk >= this.#minRisk) return true;
    for (const key of this.#models) if (key === uid.key || ancestors.has(key)) return true;
    for (const key of this.#groups) if (ancestors.has(key)) return true;
    return false;
  }
}

/** Key of a model by its id. */
export function modelKey(id: string): string {
  return `${MODEL_PREFIX}${id}"`;
}

/** Key of a group of models by its id. */
export function groupKey(id: string): string {
  return `${GROUP_PREFIX}${id}"`;
}
