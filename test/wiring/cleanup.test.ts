/** What was started is stopped in the opposite order, once, whatever fails. */
import { expect, test } from 'vitest';
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
