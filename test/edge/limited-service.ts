/** A filled service on a clock that stands until it is turned, with limits.json of a test's choosing. */
import type { Clock } from '../../src/domain/clock.ts';
import {
  type Reply,
  shippedBundle,
  startTestService,
  type TestService,
  type TestServiceOptions,
} from './service.ts';

/** The file, and that of the tests of those that are shipped. */
const LIMITS = 'limits.json';
/** An annotation of a permit. */
const NAMES_LIMITS = /^@limits\([^)]*\)\n/gm;

/** A clock that a test turns. */
export interface TestClock extends Clock {
  advance(ms: number): void;
}

export function testClock(start = Date.now()): TestClock {
  let now = start;
  return {
    now: () => now,
    monotonic: () => now,
    advance(ms) {
      now += ms;
    },
  };
}

/** A body of POST /decide as these tests make it. */
export type Question = Readonly<Record<string, unknown>>;

export interface LimitedService extends TestService {
  readonly clock: TestClock;
  /** The answer to POST /decide. */
  decide(question: Question, key?: string): Promise<Reply>;
  /** Its reason code. */
  code(question: Question): Promise<string>;
}

/** @param limits limits.json of the platform layer */
export async function startLimitedService(
  limits: object,
  options: Omit<TestServiceOptions, 'clock' | 'filled'> & { readonly clock?: TestClock } = {},
): Promise<LimitedService> {
  const clock = options.clock ?? testClock();
  const service = await startTestService({ ...options, clock, filled: true });
  await pushLimits(service, limits);
  const decide = (body: Question, key?: string) =>
    service.call('POST', '/decide', { body, ...(key === undefined ? {} : { key }) });
  return Object.assign(service, {
    clock,
    decide,
    async code(question: Question) {
      return codeOf(await decide(question));
    },
  });
}

/** Makes these the limits of the platform, and takes away those of its tenants, which name others. */
export async function pushLimits(service: TestService, limits: object): Promise<void> {
  await activate(service, 'tenants/acme', undefined);
  await activate(service, 'platform', limits);
}

async function activate(service: TestService, name: string, limits: object | undefined): Promise<void> {
  const body = await limitedBundle(name, limits);
  const { status, text } = await service.call('POST', '/v1/bundles?activate=true', { body });
  if (status !== 201 && status !== 200) throw new Error(`the limits were refused: ${status} ${text}`);
}

/** A shipped bundle with these limits, or without any, and no permit that names some. */
export async function limitedBundle(name: string, limits: object | undefined) {
  const { manifest, files } = await shippedBundle(name);
  const own: Record<string, string> = {};
  for (const [path, text] of Object.entries(files)) {
    if (!path.endsWith(LIMITS)) own[path] = text.replaceAll(NAMES_LIMITS, '');
  }
  if (limits !== undefined) own[LIMITS] = JSON.stringify(limits);
  return { manifest, files: own };
}

/** The reason code of an answer. */
export function codeOf({ json, text }: Reply): string {
  if (typeof json === 'object' && json !== null && 'reason' in json) {
    const { reason } = json;
    if (typeof reason === 'object' && reason !== null && 'code' in reason) return String(reason.code);
  }
  throw new Error(`there is no reason in ${text}`);
}
