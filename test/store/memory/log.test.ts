/** The reference: the decision log in memory. */
import { MemoryLog } from '../../../src/store/memory/log.ts';
import { decisionLogConformance } from '../../conformance/decision-log.ts';
import { decisionLogQueryConformance } from '../../conformance/decision-log-queries.ts';

async function open() {
  const log = new MemoryLog('duramen.test/memory');
  return { log, reader: log, dispose: () => log.close() };
}

decisionLogConformance('memory', open);
decisionLogQueryConformance('memory', open);
