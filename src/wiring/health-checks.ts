/** What /readyz looks at. Each check names what is wrong and, where there is one, the way out. */
import { type HealthCheck } from '../edge/http/health.ts';
import type { AnchorStatus } from '../decision-log/anchor-publisher.ts';
import type { KeyService } from '../identity/key-service.ts';
import type { Anchors } from './anchors.ts';
import type { Policy } from './policy.ts';
import type { Stores } from './stores.ts';

/** @param maxAgeSeconds of the last checkpoint at each anchor; 0: no age makes the service unready */
export function healthChecks(
  stores: Stores,
  policy: Policy,
  anchors: Anchors,
  keys: Pick<KeyService, 'isAdministrable' | 'liveBreakGlass'>,
  maxAgeSeconds: number,
): readonly HealthCheck[] {
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
      // a number: whoever probes without a key is not told the names of tenants
      problem: () => {
        const { layers } = quarantine;
        return layers.length === 0
          ? undefined
          : `${layers.length === 1 ? '1 layer runs' : `${layers.length} layers run`} on cedar-wasm since a disagreement: see GET /v1/status and GET /v1/events?kind=engine.disagreement, then POST /v1/layers/{layer}/engine/restore`;
      },
    },
    ...administrationChecks(keys),
    ...anchorChecks(anchors, maxAgeSeconds),
  ];
}

/** Probes need no credential: they learn that something is out of the ordinary, and no key. */
function administrationChecks(
  keys: Pick<KeyService, 'isAdministrable' | 'liveBreakGlass'>,
): readonly HealthCheck[] {
  return [
    {
      name: 'administration',
      advisory: true,
      problem: () =>
        keys.isAdministrable()
          ? undefined
          : 'no key that works may make an admin key: run `duramen break-glass` on the host of the service',
    },
    {
      name: 'break-glass',
      advisory: true,
      problem: () => {
        const [first, ...more] = keys.liveBreakGlass;
        if (first === undefined) return undefined;
        return `${more.length + 1} break-glass admin key works until ${first.expiresAt ?? ''}: revoke it when the emergency is over`;
      },
    },
  ];
}

/** An anchor that failed just now is tried again: it is worth a word after this many seconds without a checkpoint. */
const QUIET_SECONDS = 300;

/** Probes need no credential: they learn ages, but no path, no address and no size of the log. */
export function anchorChecks(
  { status }: Pick<Anchors, 'status'>,
  maxAgeSeconds: number,
): readonly HealthCheck[] {
  const longest = maxAgeSeconds === 0 ? QUIET_SECONDS : maxAgeSeconds;
  return publicNames(status()).map((name, at) => {
    const look = (): AnchorStatus | undefined => status()[at];
    return {
      name,
      advisory: maxAgeSeconds === 0,
      problem: () => anchorProblem(look(), longest),
      detail: () => anchorDetail(look()),
    };
  });
}

/** `anchor local`, `anchor file 1`, `anchor file 2`, `anchor witness 1`. */
function publicNames(anchors: readonly AnchorStatus[]): readonly string[] {
  const counts = new Map<string, number>();
  return anchors.map(({ name }) => {
    const kind = name.split(':', 1)[0] ?? name;
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return kind === 'local' ? 'anchor local' : `anchor ${kind} ${count}`;
  });
}

function anchorProblem(anchor: AnchorStatus | undefined, longest: number): string | undefined {
  if (anchor === undefined || anchor.waitingSeconds <= longest) return undefined;
  return `no checkpoint for ${Math.floor(anchor.waitingSeconds)} s: the log of the service says why`;
}

function anchorDetail(anchor: AnchorStatus | undefined): string {
  if (anchor?.ageSeconds === undefined) return 'no checkpoint yet';
  const age = `last checkpoint ${Math.floor(anchor.ageSeconds)} s ago`;
  return anchor.problem === undefined ? age : `${age}; the last attempt failed`;
}
