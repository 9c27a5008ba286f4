/**
 * How much output a request asks for, when it asks for several: candidates, prompts of a list, lines of a batch.
 * Invariant: the sum is of what each of them says, and those that say nothing are told apart, never left out.
 */
import { type AiOutputs, refuse } from './ai-request.ts';

/** Sums up what the requests of one body ask for. */
export class OutputBounds {
  #outputs = 0;
  #declared = 0;
  #largest: number | undefined;
  #unbounded = 0;
  #mostUnbounded = 0;

  /**
   * Takes one request.
   * @param each most tokens of each output; undefined: it does not say
   * @param outputs how many it asks for
   * @throws RequestRefused when the sum cannot be counted
   */
  add(each: number | undefined, outputs: number): void {
    this.#outputs += outputs;
    if (each === undefined) {
      this.#unbounded += outputs;
      this.#mostUnbounded = Math.max(this.#mostUnbounded, outputs);
    } else {
      this.#declared += each * outputs;
      this.#largest = Math.max(this.#largest ?? 0, each * outputs);
    }
    if (!Number.isSafeInteger(this.#declared) || !Number.isSafeInteger(this.#outputs)) {
      refuse('INPUT_REJECTED', 'the request asks for more output than can be counted');
    }
  }

  get sum(): AiOutputs {
    return {
      count: this.#outputs,
      declared: this.#declared,
      ...(this.#largest === undefined ? {} : { largest: this.#largest }),
      unbounded: this.#unbounded,
      mostUnbounded: this.#mostUnbounded,
    };
  }
}
