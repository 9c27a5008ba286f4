/** The reference: the decision log in memory. */
import { MemoryLog } from '../../../src/store/memory/log.ts';
import { decisionLogConformance } from '../../conformance/decision-log.ts';

decisionLogConformance('memory', async () => {
  const log = new MemoryLog('duramen.test/memory');
  return { log, reader: log, dispose: () => log.close() };
});
