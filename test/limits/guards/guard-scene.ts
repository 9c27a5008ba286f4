/** A desk with guard, planner and store on a virtual clock, as the service puts them together, for tests. */
import type { LimitFacts } from '../../../src/domain/limit-facts.ts';
import type { LimitAlert } from '../../../src/limits/guards/alerts.ts';
import { type LimitAnswer, LimitDesk } from '../../../src/limits/desk.ts';
import { Guard } from '../../../src/limits/guards/guard.ts';
import { LimitTable } from '../../../src/limits/counters/limit-table.ts';
import type { Penalty } from '../../../src/limits/guards/penalties.ts';
import type { StepChange } from '../../../src/limits/guards/shedding.ts';
import { FACTS, layerOf, NOW, plannerWith } from '../charges/planning-world.ts';

export interface GuardScene {
  readonly guard: Guard;
  readonly store: LimitTable;
  readonly blocks: Penalty[];
  readonly alerts: LimitAlert[];
  readonly steps: StepChange[];
  /** Milliseconds since the epoch. */
  now: number;
  /** Id of the last request that was charged or denied by limits. */
  last: string;
  /** One request as the engine makes it: blocked before anything, else charged. Its reason code, or `ALLOW`. */
  ask(changes?: Partial<LimitFacts>, dryRun?: boolean): string;
  /** The same, with the whole answer; undefined: nothing limited it. */
  answer(changes?: Partial<LimitFacts>, dryRun?: boolean): LimitAnswer | undefined;
}

/** @param platform limits.json of the platform layer */
export function guardScene(platform: object): GuardScene {
  const layer = layerOf('platform', platform);
  const told = {
    blocks: new Array<Penalty>(),
    alerts: new Array<LimitAlert>(),
    steps: new Array<StepChange>(),
  };
  const guard = new Guard(() => layer.file, {
    blocked: penalty => void told.blocks.push(penalty),
    alerted: alert => void told.alerts.push(alert),
    stepped: change => void told.steps.push(change),
  });
  const store = new LimitTable();
  const desk = new LimitDesk({ store, planning: plannerWith(), guard, holdMs: 60_000 });
  let asked = 0;
  const scene: GuardScene = {
    guard,
    store,
    ...told,
    now: NOW,
    last: '',
    ask: (changes, dryRun) => scene.answer(changes, dryRun)?.refusal?.code ?? 'ALLOW',
    answer(changes = {}, dryRun = false) {
      const facts = { ...FACTS, ...changes };
      const { now } = scene;
      const blocked = desk.blocked({ principal: facts.principal.key, address: facts.address }, now);
      if (blocked !== undefined) return blocked;
      asked += 1;
      scene.last = `d${asked}`;
      const answer = desk.admit({ decisionId: scene.last, now, facts, layers: [layer], dryRun });
      if (answer instanceof Promise) throw new Error('a store in memory answers at once');
      return answer;
    },
  };
  return scene;
}
