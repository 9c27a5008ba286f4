/** Timers as a value to be injected, so that tests turn time by hand. */
export interface Timers {
  /** Runs `action` once after so many milliseconds, unless the returned function is called before. */
  after(ms: number, action: () => void): () => void;
}
