/** In place of src/decision-log/anchor-publisher.ts in a service without evidence: there is nothing to publish. */
import * as real from '../../src/decision-log/anchor-publisher.ts';

export const { ATTEMPT_MS, CLOSE_MS, RETRY_MIN_MS } = real;

export class AnchorPublisher extends real.AnchorPublisher {
  override start(): void {
    // nothing is published
  }

  override async publish(): Promise<void> {
    // nor when it stops
  }
}
