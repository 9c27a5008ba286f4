/** Entries of a long log: decisions of many principals with a heartbeat a minute, from one seed. */
import { createHash } from 'node:crypto';
import type { LeafPrivacy } from '../src/decision-log/leaf-privacy.ts';
import type { CheckResult } from '../src/domain/decision.ts';
import type { DecisionEntry, EventEntry, LogEntry } from '../src/domain/log-entry.ts';
import { EntityUid } from '../src/domain/value.ts';
import { seeded, zipf } from './random.ts';

/** Monday of an ISO week, so that the weeks are whole. */
export const LOG_START = Date.UTC(2026, 0, 5);
/** The log spans this long, whatever its size, in milliseconds: three weeks and a bit, so four shards. */
const SPAN_MS = 22 * 86_400_000;
const HEARTBEAT_MS = 60_000;
const PRINCIPALS = 100_000;
const MODELS = 2_000;
const DIGEST = `sha256:${'a'.repeat(64)}`;

/** `count` entries in order of their time. */
export function* logEntries(count: number): Generator<LogEntry> {
  const random = seeded(11);
  const principal = zipf(PRINCIPALS, random);
  const model = zipf(MODELS, random);
  // what heartbeats take is missing from the decisions; a log too small to have them all has none
  const wanted = SPAN_MS / HEARTBEAT_MS;
  const beats = count < 2 * wanted ? 0 : wanted;
  const stepMs = SPAN_MS / Math.max(1, count - beats);
  let nextBeat = beats === 0 ? Infinity : LOG_START;
  let time = LOG_START;
  for (let index = 0; index < count; index++) {
    if (time >= nextBeat) {
      nextBeat += HEARTBEAT_MS;
      yield heartbeat(index, Math.floor(time));
      continue;
    }
    yield decision(index, Math.floor(time), `t${index % 50}`, principal(), model());
    time += stepMs;
  }
}

/** Names as they stand in leaves: as long, and as cheap to find, as those of the service. */
export function benchPrivacy(): LeafPrivacy {
  const subjects = new Map<string, { pseudonym: string; key: Uint8Array }>();
  return {
    subject(entity) {
      let subject = subjects.get(entity);
      if (subject === undefined) {
        const key = digest(entity);
        subject = { pseudonym: `p:${key.toString('base64url').slice(0, 22)}`, key };
        subjects.set(entity, subject);
      }
      return subject;
    },
    unregistered: entity => `u:${digest(entity).toString('base64url').slice(0, 22)}`,
    inputDigest: ({ tenant, hash }) => ({
      kid: `${tenant}/2026-01`,
      due: { key: digest(tenant), message: hash },
    }),
    personalKeys: new Set(),
  };
}

/** Id of the decision at an index. */
function idAt(index: number, time: number): string {
  const front = time.toString(16).padStart(12, '0');
  const tail = index.toString(16).padStart(12, '0');
  return `${front.slice(0, 8)}-${front.slice(8)}-7000-8000-${tail}`;
}

function heartbeat(index: number, time: number): EventEntry {
  const details = { size: index };
  return { kind: 'log.heartbeat', id: idAt(index, time), time, actor: 'system', subject: 'bench', details };
}

function decision(
  index: number,
  time: number,
  tenant: string,
  principal: number,
  model: number,
): DecisionEntry {
  const user = `${tenant}/u${principal}`;
  const target = `${tenant}/m${model}`;
  const check = (action: string, resource: string): CheckResult => ({
    action,
    resource,
    decision: 'allow',
    code: 'POLICY_ALLOW',
    message: '',
    policies: [`tenant:${tenant}/p${model % 20}`],
    nearMisses: [],
  });
  return {
    kind: 'decision',
    id: idAt(index, time),
    time,
    request: {
      asked: {
        principal: { type: 'User', id: user },
        action: 'generate',
        resource: { type: 'Model', id: target },
        auth: { method: 'jwt', assurance: 2, scopes: ['model:invoke'] },
        input: { classes: ['text'], modality: 'text', tokens: 100 + (index % 900), hash: DIGEST },
      },
      tenant,
      defaultEnv: 'production',
      contextRead: true,
      principalTenant: tenant,
      resourceTenant: undefined,
    },
    decision: 'allow',
    reason: {
      code: 'POLICY_ALLOW',
      level: 'action',
      message: '',
      policies: [`tenant:${tenant}/p${model % 20}`],
    },
    levels: {
      endpoint: { decision: 'allow', checks: [check('invoke', `AI::Model::"${target}"`)] },
      tenant: { decision: 'allow', checks: [check('useTenant', `AI::Tenant::"${tenant}"`)] },
      action: { decision: 'allow', checks: [check('generate', `AI::Model::"${target}"`)] },
    },
    obligations: [],
    revision: { layers: { platform: DIGEST, [`tenant:${tenant}`]: DIGEST }, directory: 118, schema: DIGEST },
    entities: [
      { entity: new EntityUid('AI::User', user), revision: 100 },
      { entity: new EntityUid('AI::Model', target), revision: 3 },
    ],
    engine: 'compiled/1+cedar-4.13.0',
    pep: 'k-gateway',
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
