/** From options to requests: what the commands send, and which mistakes they catch before sending anything. */
import { describe, expect, test } from 'vitest';
import { clientOf } from '../../src/cli/client.ts';
import { decideOptionsSchema, requestOf } from '../../src/cli/decide.ts';
import { CliError, EXIT } from '../../src/cli/exit-code.ts';
import { runCli } from '../../src/cli/run.ts';
import { searchOf } from '../../src/cli/log.ts';
import { decisionRequestSchema } from '../../src/domain/decision-request.ts';
import { recordingTerminal } from './recording-terminal.ts';

const asked = { principal: 'User:acme/alice', action: 'generate', resource: 'Model:acme/support-llm' };
const options = (given: object) => decideOptionsSchema.parse({ output: 'table', ...given });

function failureOf(action: () => unknown): CliError {
  try {
    action();
  } catch (error) {
    if (error instanceof CliError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('decide', () => {
  test('turns options into the body of POST /decide', () => {
    const request = requestOf(
      options({
        ...asked,
        tenant: 'acme',
        onBehalfOf: 'm1',
        partition: ['acme/payments', 'acme/tickets=write'],
        tool: ['acme/order-lookup', 'acme/refund=1200', 'acme/refund=-1'],
        scope: ['payments:refund'],
        context: '{"region": "eu"}',
        explain: 'full',
      }),
    );
    expect(request).toEqual({
      principal: { type: 'User', id: 'acme/alice' },
      action: 'generate',
      resource: { type: 'Model', id: 'acme/support-llm' },
      tenant: 'acme',
      onBehalfOf: 'm1',
      partitions: [
        { id: 'acme/payments', access: 'read' },
        { id: 'acme/tickets', access: 'write' },
      ],
      tools: [
        { id: 'acme/order-lookup' },
        { id: 'acme/refund', amountCents: 1200 },
        { id: 'acme/refund', amountCents: -1 },
      ],
      auth: { method: 'asserted', assurance: 0, scopes: ['payments:refund'] },
      context: { region: 'eu' },
      explain: 'full',
    });
    expect(decisionRequestSchema.safeParse(request).success).toBe(true);
  });

  test('keeps colons in ids', () => {
    const { resource } = requestOf(options({ ...asked, resource: 'Model:acme/a:b' }));
    expect(resource).toEqual({ type: 'Model', id: 'acme/a:b' });
  });

  test.each([
    [{ principal: undefined }, '--principal, --action and --resource'],
    [{ principal: 'acme/alice' }, '--principal `acme/alice` is not an entity'],
    [{ resource: 'Model:' }, '--resource `Model:` is not an entity'],
    [{ partition: ['acme/a=delete'] }, '`acme/a=delete` has no such access'],
    [{ tool: ['acme/refund=twelve'] }, '`acme/refund=twelve` is not an id'],
    [{ context: '{region}' }, '--context is not JSON'],
    [{ context: '[]' }, '--context is not a JSON object'],
  ])('%j is a usage error', (given, message) => {
    const error = failureOf(() => requestOf(options({ ...asked, ...given })));
    expect(error.message).toContain(message);
    expect(error.exitCode).toBe(EXIT.usage);
  });
});

describe('log query', () => {
  const now = Date.parse('2026-03-10T12:00:00Z');
  const search = (given: { since?: string; filters?: Record<string, string> }): string =>
    searchOf(recordingTerminal({ now }), { output: 'table', filters: {}, ...given }).toString();

  test('passes filters on as they are', () => {
    expect(search({ filters: { decision: '!allow', principal: 'acme/a,acme/b' } })).toBe(
      'decision=%21allow&principal=acme%2Fa%2Cacme%2Fb',
    );
    expect(search({})).toBe('');
  });

  test.each([
    ['30s', '2026-03-10T11:59:30.000Z'],
    ['15m', '2026-03-10T11:45:00.000Z'],
    ['24h', '2026-03-09T12:00:00.000Z'],
    ['7d', '2026-03-03T12:00:00.000Z'],
  ])('--since %s starts at %s', (since, from) => {
    expect(search({ since })).toBe(`from=${encodeURIComponent(from)}`);
  });

  test.each(['yesterday', '5', '-5m', '5w'])('--since %s is a usage error', since => {
    expect(failureOf(() => search({ since })).exitCode).toBe(EXIT.usage);
  });

  test('--since beside --from is a usage error', () => {
    const filters = { from: '2026-03-10T00:00:00Z' };
    expect(failureOf(() => search({ since: '5m', filters })).message).toContain('cannot be used together');
  });
});

describe('the address of the service', () => {
  test.each(['localhost:8181', 'ftp://127.0.0.1', 'not an address'])('%s is a usage error', url => {
    expect(failureOf(() => clientOf(recordingTerminal(), url)).exitCode).toBe(EXIT.usage);
  });

  test('says what to do when nothing listens there', async () => {
    // port 1 is reserved and closed on every test machine
    const client = clientOf(recordingTerminal({ env: { DURAMEN_URL: 'http://127.0.0.1:1' } }), undefined);
    const error: unknown = await client.fetch({ path: '/livez' }).catch((thrown: unknown) => thrown);
    if (!(error instanceof CliError)) throw error;
    expect(error.message).toMatch(/^cannot reach http:\/\/127\.0\.0\.1:1: /);
    expect(error.hint).toBe('start the service with `duramen serve`, or point DURAMEN_URL to it');
  });
});

test('a reason that stays in the log takes no key', async () => {
  const terminal = recordingTerminal();
  const reason = 'instead of dmn_0123456789abcdef';
  const args = ['log', 'open-new', '--data', '/nonexistent', '--reason', reason];
  expect(await runCli(args, terminal, '0')).toBe(EXIT.usage);
  expect(terminal.stderr()).toContain('--reason must not contain a key');
});
