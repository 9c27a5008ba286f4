/**
 * The control plane, put together: its policies from files, its gate, and what the services ask of it. Invariant: the
 * service does not start with policies that were not checked, nor with policies that lock everybody out.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BundleGuard } from '../bundles/service.ts';
import type { PolicyFile } from '../cedar/policy-draft.ts';
import type { RecordedAnswers } from '../cedar/recorded-answers.ts';
import { CedarWasm } from '../cedar/wasm.ts';
import type { Config } from '../config/settings.ts';
import { ControlGate } from '../control/control-gate.ts';
import { ControlPlane } from '../control/control-plane.ts';
import { compileControlPolicies, type ControlSources } from '../control/policy-sets.ts';
import { SERVICE } from '../control/question.ts';
import type { ProfileGuard } from '../identity/pep-profiles/profile-service.ts';
import { type ControlDenial, ControlDenialRecorder } from '../decision-log/control-denials.ts';
import type { DecisionLog } from '../decision-log/ports.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { AppError, messageOf } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';
import { credentialOf } from '../identity/key-ring.ts';
import type { KeyGuard, KeyService } from '../identity/key-service.ts';
import type { Metrics } from '../telemetry/metrics.ts';

const SCHEMA = new URL('../../schema/control-plane.cedarschema', import.meta.url);
const SHIPPED = new URL('../../policies/control/', import.meta.url);
/** Most files of a folder of policies, and most characters of one. */
const MAX_FILES = 256;
const MAX_FILE_LENGTH = 262_144;

export interface ControlParts {
  readonly config: Pick<Config, 'control'>;
  readonly log: Pick<DecisionLog, 'append'>;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly metrics: Pick<Metrics, 'controlDenied'>;
  /** From `readControlPlane`. */
  readonly plane: ControlPlane;
}

export interface Control {
  readonly gate: ControlGate;
  readonly bundles: BundleGuard;
  readonly keys: KeyGuard;
  readonly profiles: ProfileGuard;
  /** The folder that replaces the shipped policies; undefined: they decide. */
  readonly replacedBy: string | undefined;
  /** Writes down the denials that are still being counted. */
  close(): Promise<void>;
}

export function assembleControl({ config, log, clock, ids, metrics, plane }: ControlParts): Control {
  const recorder = new ControlDenialRecorder({ log, clock, ids });
  recorder.start();
  const replacedBy = config.control.policies;
  const gate = new ControlGate({
    plane,
    isShipped: replacedBy === undefined,
    onDenied: ({ credential, operation }, { cause, policies }) => {
      // the routes are the closed set: what is none of them is one series
      metrics.controlDenied(plane.knows(operation) ? operation : 'other');
      recorder.record(denialOf(credential, operation, cause, policies));
    },
  });
  return {
    gate,
    bundles: bundleGuard(gate),
    keys: keyGuard(gate),
    profiles: profileGuard(gate),
    replacedBy,
    close: () => recorder.close(),
  };
}

/** The shipped policies, or those of the configured folder. @throws AppError BUNDLE_INVALID */
export function readControlPlane(
  config: Config['control'],
  clock: Pick<Clock, 'now'>,
  onFailure: (error: unknown) => void,
  recorded?: RecordedAnswers,
): ControlPlane {
  const policies = compileControlPolicies(readControlSources(config), new CedarWasm(), recorded);
  return new ControlPlane(policies, clock, onFailure);
}

/** The texts of the control plane. @throws AppError BUNDLE_INVALID when policies cannot be read */
export function readControlSources({ policies, twoPersonActivation }: Config['control']): ControlSources {
  const folder = policies ?? fileURLToPath(SHIPPED);
  return {
    schema: { path: 'schema/control-plane.cedarschema', text: readFileSync(SCHEMA, 'utf8') },
    policies: readPolicies(folder),
    origin: folder,
    twoPersons: twoPersonActivation === 'on',
  };
}

function readPolicies(folder: string): readonly PolicyFile[] {
  try {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name =>
      name.endsWith('.cedar'),
    );
    if (names.length > MAX_FILES) throw new Error(`it has more than ${MAX_FILES} files`);
    return names.toSorted().map(name => readPolicy(join(folder, name)));
  } catch (error) {
    throw new AppError(
      'BUNDLE_INVALID',
      `the policies of the control plane in \`${folder}\` cannot be read: ${messageOf(error)}`,
      { problems: [{ message: 'no policy was read', hint: 'correct `control.policies`' }], cause: error },
    );
  }
}

function readPolicy(path: string): PolicyFile {
  const text = readFileSync(path, 'utf8');
  if (text.length > MAX_FILE_LENGTH)
    throw new Error(`\`${path}\` has more than ${MAX_FILE_LENGTH} characters`);
  return { path, text };
}

function denialOf(
  { keyId, tenants }: Credential,
  operation: string,
  cause: string,
  policies: readonly string[],
): ControlDenial {
  const [only] = tenants ?? [];
  return { keyId, tenant: tenants?.size === 1 ? only : undefined, operation, cause, policies };
}

export function bundleGuard(gate: ControlGate): BundleGuard {
  const object = (layer: LayerName) => ({ kind: 'layer', layer }) as const;
  const operations = { activate: 'activateBundle', rollback: 'rollbackLayer' } as const;
  return {
    push: (layer, credential) => gate.require({ credential, operation: 'pushBundle', object: object(layer) }),
    activateAtAll: credential =>
      gate.require({ credential, operation: operations.activate, object: SERVICE }, { roles: ['approver'] }),
    activate: (kind, layer, pushedBy, credential) =>
      gate.require({ credential, operation: operations[kind], object: object(layer), pushedBy }),
  };
}

export function keyGuard(gate: ControlGate): KeyGuard {
  return {
    create(request, credential, excess) {
      const detail = excess === undefined ? undefined : `the new key would have ${excess}`;
      const object = { kind: 'key', key: request } as const;
      const words = { detail, foreign: () => widerKey(excess) };
      gate.require({ credential, operation: 'createKey', object }, words);
    },
    revoke(key, credential, excess) {
      const detail = excess === undefined ? undefined : `key \`${key.id}\` has ${excess}`;
      gate.require({ credential, operation: 'revokeKey', object: { kind: 'key', key } }, { detail });
    },
    isAdministrable: keys => gate.isAdministrable(keys.map(key => ({ key, credential: credentialOf(key) }))),
  };
}

export function profileGuard(gate: ControlGate): ProfileGuard {
  const about =
    (operation: string): ProfileGuard['read'] =>
    (profile, credential) =>
      gate.require({ credential, operation, object: { kind: 'profile', profile } });
  return {
    read: about('getPepProfile'),
    write: about('putPepProfile'),
    remove: about('deletePepProfile'),
  };
}

/** A key for more tenants is a wider key, whatever else it is. */
function widerKey(excess: string | undefined): AppError {
  return new AppError('ROLE_REQUIRED', `the new key would have ${excess ?? 'more tenants than its maker'}`, {
    problems: [
      { message: 'denied by `builtin/tenant-limit`', hint: 'ask for no more than your own key has' },
    ],
  });
}

/**
 * Refuses policies under which none of the admin keys that work could make another one. Where there is no such key at
 * all the service starts: decisions must go on, readiness says so, and `duramen break-glass` helps.
 * @throws AppError BUNDLE_INVALID when the policies, and not the want of keys, are the reason
 */
export function checkAdministrable(keys: KeyService, { replacedBy }: Pick<Control, 'replacedBy'>): void {
  if (replacedBy === undefined || keys.isAdministrable() || !keys.hasLastingAdmin) return;
  throw new AppError(
    'BUNDLE_INVALID',
    `the policies of the control plane in \`${replacedBy}\` lock everybody out`,
    {
      problems: [
        {
          message: 'no key that works now may make another admin key',
          hint: 'permit `createKey` to an admin key, for the service and for keys, or unset `control.policies`',
        },
      ],
    },
  );
}
