/**
 * Keeps one of the objects alive that `process.nextTick` queues. Where none lives while memory is collected, V8 drops
 * their hidden class, and `nextTick` makes each later one by the generic way, which takes several times as long, six
 * times in a request. Invariant: what is kept refers to nothing else that would stay alive by it.
 */
import { executionAsyncResource } from 'node:async_hooks';

/** Resolves with the object; it serves as long as somebody holds it. Call it before the first connection. */
export function tickShape(): Promise<object> {
  return new Promise(resolve => {
    process.nextTick(() => resolve(executionAsyncResource()));
  });
}
