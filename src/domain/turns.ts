/**
 * Lets requests that arrived together make their steps together: all are read, then all are evaluated, then all are
 * recorded. The code and the data of a step then stay in the caches of the processor, where one request after the other
 * would fetch them anew (docs/adr/0018). Invariant: nobody waits for a timer, nor for a request that is not there yet.
 */

/** Most requests that make their steps together: the log's writer need not wait until all of a thousand are decided. */
const MAX_TOGETHER = 32;

/**
 * What a step ends with: `await NEXT_STEP` lets the others of the turn make the same step first. Between both nothing
 * else happens but such steps, in the order of their requests.
 */
export const NEXT_STEP: Promise<void> = Promise.resolve();

/** The turns of the event loop, as those see them who wait for the end of one. */
export class Turns {
  #end: Promise<void> | undefined;
  #together = 0;

  /** Resolves at the end of this turn, when everything was read that had arrived together, or 32 of it. */
  end(): Promise<void> {
    if (this.#end === undefined || this.#together >= MAX_TOGETHER) {
      const end = new Promise<void>(resolve => {
        setImmediate(() => {
          if (this.#end === end) this.#end = undefined;
          resolve();
        });
      });
      this.#end = end;
      this.#together = 0;
    }
    this.#together += 1;
    return this.#end;
  }
}
