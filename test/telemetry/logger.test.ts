/** The service's log never shows a credential, wherever somebody puts one. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeKey } from '../../src/identity/key-format.ts';
import { makeLogger, REDACTED } from '../../src/telemetry/logger.ts';
import { manualClock } from '../identity/clock.ts';

function capture(write: (log: ReturnType<typeof makeLogger>) => void): string {
  const lines: string[] = [];
  write(makeLogger('trace', manualClock(), { write: line => void lines.push(line) }));
  return lines.join('');
}

const { token } = makeKey(randomBytes);
const { token: callerKey } = makeKey(randomBytes, 'dmc');
const signed = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl';
const bearer = 'canary-of-a-bootstrap-key-0123456789';

const places: [name: string, write: (log: ReturnType<typeof makeLogger>) => void][] = [
  ['in the message', log => log.info(`got ${token} from a client`)],
  ['of a caller in the message', log => log.info(`got ${callerKey} from a client`)],
  ['in a header field', log => log.info({ headers: { authorization: `Bearer ${bearer}` } }, 'request')],
  [
    'in a nested header field',
    log => log.info({ request: { headers: { authorization: token } } }, 'request'),
  ],
  ['in the configuration', log => log.info({ config: { bootstrapKey: bearer, keyPepper: bearer } }, 'start')],
  ['in an answer', log => log.info({ answer: { id: 'x', key: token } }, 'made')],
  ['in the message of an error', log => log.error(new Error(`cannot use ${token}`), 'failed')],
  [
    'in the stack of a cause',
    log => log.error({ err: new Error('x', { cause: new Error(`Bearer ${bearer}`) }) }),
  ],
  ['in a child logger', log => log.child({ token: bearer }).info('hello')],
  ['as a signed token in the text', log => log.warn(`it was ${signed}, they said`)],
  ['as a bearer token in the text', log => log.warn(`header was "Bearer ${bearer}"`)],
];
test.each(places)('a secret %s is redacted', (_name, write) => {
  const text = capture(write);
  expect(text).not.toContain(token);
  expect(text).not.toContain(callerKey);
  expect(text).not.toContain(bearer);
  expect(text).not.toContain(signed);
  expect(text).toContain(REDACTED);
});

test('a line is JSON with level, time and message', () => {
  const line: unknown = JSON.parse(capture(log => log.warn({ route: '/decide' }, 'slow')));
  expect(line).toEqual({ level: 'warn', time: '2026-11-21T00:00:00.000Z', route: '/decide', msg: 'slow' });
});

test('lines below the level are not written', () => {
  const lines: string[] = [];
  makeLogger('error', manualClock(), { write: line => void lines.push(line) }).warn('quiet');
  expect(lines).toEqual([]);
});
