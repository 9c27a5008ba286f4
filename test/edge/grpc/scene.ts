/** A service with gateway profiles and a gRPC listener, and checks as a gateway sends them. */
import { Client, credentials } from '@grpc/grpc-js';
import type { Clock } from '../../../src/domain/clock.ts';
import type { PepProfileInput } from '../../../src/domain/pep-profile.ts';
import { startTestService, type TestService } from '../service.ts';
import { callWith, checkRequest, type Described, type Ended, envoyJudges, type Verdict } from './envoy.ts';

export interface CheckScene {
  readonly service: TestService;
  readonly client: Client;
  /** `127.0.0.1:50051` */
  readonly address: string;
  /** A key that may ask. */
  readonly key: string;
  /** Asks about a request below a profile, by a gateway that proves itself. */
  ask(profile: string, described: Described): Promise<Ended>;
  /** What Envoy makes of the answer. */
  judge(profile: string, described: Described): Promise<Verdict>;
  stop(): Promise<void>;
}

export async function startCheckScene(
  profiles: readonly PepProfileInput[],
  env: Readonly<Record<string, string>> = {},
  clock?: Clock,
): Promise<CheckScene> {
  const service = await startTestService({
    env: {
      DURAMEN_PEP_PROFILES: JSON.stringify(profiles),
      DURAMEN_GRPC_LISTEN: '127.0.0.1:0',
      DURAMEN_SHUTDOWN_GRACE_SECONDS: '1',
      ...env,
    },
    filled: true,
    ...(clock === undefined ? {} : { clock }),
  });
  const address = service.running.grpcAddress ?? failNoListener();
  const client = new Client(address, credentials.createInsecure());
  const key = await service.makeKey(['pep']);
  const ask = (profile: string, described: Described): Promise<Ended> =>
    callWith(
      client,
      checkRequest({ ...described, extensions: { duramen_profile: profile, ...described.extensions } }),
      { authorization: `Bearer ${key}` },
    );
  return {
    service,
    client,
    address,
    key,
    ask,
    judge: async (profile, described) => envoyJudges(await ask(profile, described), described.headers ?? []),
    async stop() {
      client.close();
      await service.stop();
    },
  };
}

function failNoListener(): never {
  throw new Error('the service has no gRPC listener');
}

/** Headers of a client whose gateway names Alice. */
export const ALICE = [
  ['content-type', 'application/json'],
  ['x-user', 'acme/alice'],
] as const;
export const CHAT = '/v1/chat/completions';
