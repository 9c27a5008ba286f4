/** Extensions that took effect and wait for the log: written once, in their order, and never in the way for good. */
import { expect, test } from 'vitest';
import { AppError } from '../../src/domain/errors.ts';
import type { LogEntry } from '../../src/domain/log-entry.ts';
import { UnloggedExtensions } from '../../src/pdp/unlogged.ts';

function waiting(...ids: readonly string[]): UnloggedExtensions {
  const extensions = new UnloggedExtensions();
  for (const id of ids) {
    const entry = { kind: 'decision.extension', id, time: 1, actor: 'k', subject: id, details: {} } as const;
    extensions.add({ entry, journal: undefined });
  }
  return extensions;
}

/** A log that refuses some entries. */
function logWithout(refused: ReadonlyMap<string, unknown>) {
  const written: string[] = [];
  return {
    written,
    async append({ id }: LogEntry) {
      await Promise.resolve();
      if (refused.has(id)) throw refused.get(id);
      written.push(id);
      return { origin: 'test', index: written.length - 1, size: written.length };
    },
  };
}

test('two that ask at once write each extension once', async () => {
  const extensions = waiting('a', 'b', 'c');
  const log = logWithout(new Map());
  await Promise.all([extensions.write(log), extensions.write(log)]);
  await extensions.write(log);
  expect(log.written).toEqual(['a', 'b', 'c']);
  expect(extensions.isEmpty).toBe(true);
});

test('what the log does not take now waits with what comes after it', async () => {
  const extensions = waiting('a', 'b', 'c');
  const full = logWithout(new Map([['b', new AppError('LOG_BACKPRESSURE', 'full')]]));
  await expect(extensions.write(full)).rejects.toMatchObject({ code: 'LOG_BACKPRESSURE' });
  expect(full.written).toEqual(['a']);
  const log = logWithout(new Map());
  await extensions.write(log);
  expect(log.written).toEqual(['b', 'c']);
});

test('what the log never takes keeps nothing else from it', async () => {
  const extensions = waiting('a', 'b');
  const log = logWithout(new Map([['a', new AppError('INVALID_REQUEST', 'too long')]]));
  await extensions.write(log);
  expect(log.written).toEqual(['b']);
  expect(extensions.isEmpty).toBe(true);
});
