/** The store of limits in memory against its contract, with a memory that lasts and with one that is lost at each step. */
import { LimitTable } from '../../../src/limits/counters/limit-table.ts';
import { describeLimitStore } from '../../conformance/limit-store.ts';
import { RestoredTable } from './restored-table.ts';

describeLimitStore({
  name: 'memory',
  open: async () => ({ store: new LimitTable(), close: async () => undefined }),
});

describeLimitStore({
  name: 'memory that is restored from its journals at every step',
  open: async () => ({ store: new RestoredTable(), close: async () => undefined }),
});
