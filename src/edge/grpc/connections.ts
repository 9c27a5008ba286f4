/**
 * The connections of the gRPC listener, by the name that a call has for its peer. Invariants: no two open connections
 * have one name, so that a call is never taken for one of another connection; a call whose connection is gone has none.
 */
import type { Socket } from 'node:net';

export class GrpcConnections {
  readonly #open = new Map<string, Socket>();

  /** @returns whether it may be served: one that has the name of another is to be closed. */
  opened(socket: Socket): boolean {
    const { remoteAddress, remotePort } = socket;
    if (remoteAddress === undefined || remotePort === undefined) return false;
    const name = `${remoteAddress}:${remotePort}`;
    // the same address and port can reach two addresses of ours
    if (this.#open.has(name)) return false;
    this.#open.set(name, socket);
    socket.once('close', () => this.#open.delete(name));
    return true;
  }

  /** @param peer as `ServerUnaryCall.getPeer` tells it: address and port. */
  of(peer: string): Socket | undefined {
    return this.#open.get(peer);
  }
}
