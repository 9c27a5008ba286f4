/** The object of `process.nextTick` that a service keeps: made like those that come after it. */
import { executionAsyncResource } from 'node:async_hooks';
import { expect, test } from 'vitest';
import { tickShape } from '../../src/wiring/tick-shape.ts';

test('is an object that `process.nextTick` queues, with its members in the same order', async () => {
  const shape = await tickShape();
  const later = await new Promise<object>(resolve => {
    process.nextTick(() => resolve(executionAsyncResource()));
  });
  expect(shape).not.toBe(later);
  expect(Reflect.ownKeys(shape)).toEqual(Reflect.ownKeys(later));
  expect(Reflect.ownKeys(shape)).toContain('callback');
});
