/** The reference: the decision log in memory. */
import { MemoryLog } from '../../../src/store/memory/log.ts';
import { testPrivacy } from '../../decision-log/test-privacy.ts';
import { decisionLogConformance } from '../../conformance/decision-log.ts';
import { decisionLogOutcomeConformance } from '../../conformance/decision-log-outcomes.ts';
import { decisionLogQueryConformance } from '../../conformance/decision-log-queries.ts';
import { decisionLogTreeConformance } from '../../conformance/decision-log-tree.ts';

async function open() {
  const log = new MemoryLog('duramen.test/memory', { privacy: testPrivacy() });
  return { log, reader: log, tree: log.tree, verifierKey: log.verifierKey, dispose: () => log.close() };
}

decisionLogConformance('memory', open);
decisionLogQueryConformance('memory', open);
decisionLogOutcomeConformance('memory', open);
decisionLogTreeConformance('memory', open);
