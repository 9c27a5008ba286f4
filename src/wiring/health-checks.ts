/** What /readyz looks at. Each check names what is wrong and, where there is one, the way out. */
import { type HealthCheck } from '../edge/http/health.ts';
import type { Policy } from './policy.ts';
import type { Stores } from './stores.ts';

export function healthChecks(stores: Stores, policy: Policy): readonly HealthCheck[] {
  const { snapshots, quarantine, compilerProblem } = policy;
  return [
    { name: 'state store', problem: stores.problems.state },
    { name: 'decision log', problem: stores.problems.log },
    { name: 'query index', advisory: true, problem: stores.problems.query },
    {
      name: 'platform bundle',
      problem: () =>
        snapshots.current?.layers.has('platform') === true
          ? undefined
          : 'no platform bundle is active: push one with POST /v1/bundles?activate=true',
    },
    { name: 'policy compiler', advisory: true, problem: compilerProblem },
    {
      name: 'evaluators agree',
      advisory: true,
      problem: () => {
        const { layers } = quarantine;
        return layers.length === 0
          ? undefined
          : `${layers.join(', ')} run on cedar-wasm since a disagreement: see GET /v1/events?kind=engine.disagreement, then POST /v1/layers/{layer}/engine/restore`;
      },
    },
  ];
}
