/** The decision log on SQLite keeps the contract of the decision log. */
import { decisionLogConformance } from '../../conformance/decision-log.ts';
import { decisionLogOutcomeConformance } from '../../conformance/decision-log-outcomes.ts';
import { decisionLogQueryConformance } from '../../conformance/decision-log-queries.ts';
import { decisionLogTreeConformance } from '../../conformance/decision-log-tree.ts';
import { openBoth } from './sqlite-log.ts';

decisionLogConformance('sqlite', () => openBoth());
decisionLogQueryConformance('sqlite', () => openBoth());
decisionLogOutcomeConformance('sqlite', () => openBoth());
decisionLogTreeConformance('sqlite', () => openBoth());
decisionLogTreeConformance('sqlite in small shards', () => openBoth(undefined, { shardEntries: 100 }));
