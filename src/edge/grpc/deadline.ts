/**
 * A time limit for calls, from their first byte to their answer. Invariant: a call that was ended for its time
 * gets no other answer afterwards.
 */
import { ServerInterceptingCall, type ServerInterceptor, status as grpcStatus } from '@grpc/grpc-js';
import type { Timers } from '../../decision-log/timers.ts';

/** Ends calls after `timeoutMs` with DEADLINE_EXCEEDED; streams may last. */
export function limitTime(timeoutMs: number, timers: Timers): ServerInterceptor {
  return ({ requestStream, responseStream }, call) => {
    if (requestStream || responseStream) return new ServerInterceptingCall(call);
    let isOver = false;
    const stop = timers.after(timeoutMs, () => {
      isOver = true;
      call.sendStatus({ code: grpcStatus.DEADLINE_EXCEEDED, details: `no answer within ${timeoutMs} ms` });
    });
    return new ServerInterceptingCall(call, {
      start: next => next({ onCancel: stop }),
      sendMessage(message, next) {
        if (!isOver) next(message);
      },
      sendStatus(status, next) {
        if (isOver) return;
        stop();
        next(status);
      },
    });
  };
}
