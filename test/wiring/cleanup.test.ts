/** What was started is stopped in the opposite order, once, whatever fails. */
import { expect, test } from 'vitest';
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
