/** The protobuf definitions of the gRPC listener, from the files in `schema/protos`. */
import { loadSync, type MethodDefinition, type Options, type PackageDefinition } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

/**
 * Names stay as they are written and numbers stay numbers: a name that does not exist would be dropped without
 * a word, and a dropped code means allow.
 */
const OPTIONS: Options = { keepCase: true, longs: Number, defaults: false, oneofs: false };

export const CHECK_SERVICE = 'envoy.service.auth.v3.Authorization';
export const RATE_LIMIT_SERVICE = 'envoy.service.ratelimit.v3.RateLimitService';

export interface Protos {
  readonly check: MethodDefinition<object, object>;
  readonly shouldRateLimit: MethodDefinition<object, object>;
  /** Every definition, for reflection. */
  readonly definitions: PackageDefinition;
}

/** @param folder path of `schema/protos`. @throws Error when the files do not define the services. */
export function loadProtos(folder: string): Protos {
  const options = { ...OPTIONS, includeDirs: [folder] };
  const authorization = loadSync('envoy/service/auth/v3/external_auth.proto', options);
  const rateLimits = loadSync('envoy/service/ratelimit/v3/rls.proto', options);
  return {
    check: methodOf(authorization, CHECK_SERVICE, 'Check'),
    shouldRateLimit: methodOf(rateLimits, RATE_LIMIT_SERVICE, 'ShouldRateLimit'),
    definitions: { ...authorization, ...rateLimits, ...loadSync(protoPath, OPTIONS) },
  };
}

function methodOf(definitions: PackageDefinition, name: string, method: string): Protos['check'] {
  const service = definitions[name];
  const found: unknown =
    service === undefined ? undefined : Object.entries(service).find(([key]) => key === method)?.[1];
  if (!isMethod(found)) throw new Error(`the protos do not define ${name}`);
  return found;
}

function isMethod(value: unknown): value is MethodDefinition<object, object> {
  return typeof value === 'object' && value !== null && 'responseSerialize' in value;
}
