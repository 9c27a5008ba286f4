/** What a call says beside its message: who calls, and what its metadata names. */
import type { ServerUnaryCall } from '@grpc/grpc-js';
import { AppError } from '../../domain/errors.ts';
import type { Peer } from '../http/authentication.ts';
import type { GrpcConnections } from './connections.ts';

export type Call = ServerUnaryCall<Buffer, Buffer>;

/** Names the profile in the metadata of a call. */
export const PROFILE_HEADER = 'x-duramen-profile';

/** The only value of a metadata key; undefined when it is absent. @throws AppError INVALID_REQUEST */
export function metadataOf({ metadata }: Call, key: string): string | undefined {
  const values = metadata.get(key);
  if (values.length > 1) throw new AppError('INVALID_REQUEST', `the metadata \`${key}\` stands twice`);
  const [value] = values;
  return value === undefined || typeof value === 'string' ? value : value.toString('latin1');
}

/** Of `127.0.0.1:50051` or `::1:50051`, as the call tells its peer. */
function addressOf(peer: string): string {
  const end = peer.lastIndexOf(':');
  return end === -1 ? peer : peer.slice(0, end);
}

/** @throws AppError CREDENTIAL_REQUIRED when the connection is gone, and nobody would hear the answer. */
export function peerOf(call: Call, connections: GrpcConnections): Peer {
  const peer = call.getPeer();
  const socket = connections.of(peer);
  if (socket === undefined) throw new AppError('CREDENTIAL_REQUIRED', 'the connection of the call is gone');
  return { address: addressOf(peer), socket };
}

/** The `:authority` of the call without its port. */
export function hostOf(authority: string): string {
  return authority.replace(/:\d*$/, '');
}
