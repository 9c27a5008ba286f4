/**
 * Prices of calls. Invariant: integers throughout; every cost is rounded up, so that many small calls never cost less
 * than their tokens together, and is at most the largest safe integer.
 */
import type { ModelFacts } from '../../domain/limit-facts.ts';
import type { Price, PriceList } from '../../domain/price-list.ts';

const MILLION = 1_000_000;
/** Models whose price is remembered. */
const MAX_REMEMBERED = 4_096;

/** One price list, indexed. */
export class PriceBook {
  /** Name of the list. */
  readonly version: string;
  readonly #byModel = new Map<string, Price>();
  readonly #byVersion = new Map<string, Map<string, Price>>();
  readonly #fallback: Price | undefined;
  /** By id of the model with its version, those that were asked for. */
  readonly #found = new Map<string, Price>();

  constructor(list: PriceList) {
    this.version = list.version;
    this.#fallback = list.default;
    for (const { model, version, ...price } of list.models) {
      if (version === undefined) this.#byModel.set(model, price);
      else {
        const versions = this.#byVersion.get(model) ?? new Map<string, Price>();
        this.#byVersion.set(model, versions.set(version, price));
      }
    }
  }

  /** The price of a model: of its version, else of the model, else the default; undefined when there is none. */
  find(model: ModelFacts): Price | undefined {
    const { id } = model.uid;
    const known = this.#found.get(id);
    if (known !== undefined) return known;
    const found = this.#search(model);
    if (found !== undefined) {
      if (this.#found.size >= MAX_REMEMBERED) this.#found.clear();
      this.#found.set(id, found);
    }
    return found;
  }

  #search(model: ModelFacts): Price | undefined {
    const name = modelName(model);
    return this.#byVersion.get(name)?.get(model.version) ?? this.#byModel.get(name) ?? this.#fallback;
  }
}

/** The id of a model without its version: `acme/fraud` of `acme/fraud@3`. */
export function modelName({ uid, version }: ModelFacts): string {
  return version === '' ? uid.id : uid.id.slice(0, uid.id.length - version.length - 1);
}

/** What a call costs in micro-dollars. */
export function costOf(price: Price, input: number, output: number, computeMs: number): number {
  const cost =
    price.perRequest +
    tokenCost(price, input, output) +
    Math.ceil(Math.min(computeMs * price.perComputeSecond, Number.MAX_SAFE_INTEGER) / 1000);
  return Math.min(cost, Number.MAX_SAFE_INTEGER);
}

/**
 * The tokens in whole millions and the rest apart: a rest times the highest price stays a safe integer, so that the
 * sum is exact as long as it is safe itself.
 */
function tokenCost({ inputPerMillion, outputPerMillion }: Price, input: number, output: number): number {
  const whole =
    Math.floor(input / MILLION) * inputPerMillion + Math.floor(output / MILLION) * outputPerMillion;
  const rest = (input % MILLION) * inputPerMillion + (output % MILLION) * outputPerMillion;
  return whole + Math.ceil(rest / MILLION);
}
