/** What was started is stopped in the opposite order, once, whatever fails. */
import { expect, test } from 'vitest';
import type { Timers } from '../../src/decision-log/timers.ts';
import { AppError } from '../../src/domain/errors.ts';
import { Cleanup } from '../../src/wiring/cleanup.ts';

test('steps run in the opposite order, each once, also after one fails', async () => {
  const ran: string[] = [];
  const cleanup = new Cleanup();
  cleanup.add(async () => void ran.push('first'));
  cleanup.add(() => Promise.reject(new Error('broken')));
  cleanup.add(async () => void ran.push('last'));
  await expect(cleanup.run()).rejects.toThrow('did not stop cleanly');
  await expect(cleanup.run()).rejects.toThrow('did not stop cleanly');
  expect(ran).toEqual(['last', 'first']);
});

test('a failure says what each step said, once, and stays of the kind that all of them are', async () => {
  const full = () => Promise.reject(new AppError('LOG_UNAVAILABLE', 'the disk is full'));
  const known = new Cleanup();
  for (const step of [full, full]) known.add(step);
  await expect(known.run()).rejects.toMatchObject({
    code: 'LOG_UNAVAILABLE',
    message: 'the service did not stop cleanly: the disk is full',
  });
  const mixed = new Cleanup();
  mixed.add(full);
  mixed.add(() => Promise.reject(new Error('broken')));
  const failure = await mixed.run().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(AggregateError);
  expect(failure).toMatchObject({ message: 'the service did not stop cleanly: broken; the disk is full' });
});

test('a step that does not end is waited for in vain only so long, and what was in time is as ever', async () => {
  let cancelled = 0;
  let elapse = (): void => undefined;
  const timers: Timers = {
    after(ms, action) {
      expect(ms).toBe(25_000);
      elapse = action;
      return () => void cancelled++;
    },
  };
  const why = () => 'the disk hangs';
  const quick = new Cleanup();
  quick.add(async () => undefined);
  await quick.runWithin(25_000, timers, why);
  expect(cancelled).toBe(1);
  const stuck = new Cleanup();
  stuck.add(() => new Promise(() => undefined));
  const run = stuck.runWithin(25_000, timers, why);
  elapse();
  await expect(run).rejects.toMatchObject({
    code: 'LOG_UNAVAILABLE',
    message: 'the service did not stop within 25 s: the disk hangs',
  });
});
