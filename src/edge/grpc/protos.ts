/** The protobuf definitions of the gRPC listener, from the files in `schema/protos`. */
import { loadSync, type MethodDefinition, type Options, type PackageDefinition } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';

/**
 * Names stay as they are written and numbers stay numbers: a name that does not exist would be dropped without
 * a word, and a dropped code means allow.
 */
const OPTIONS: Options = { keepCase: true, longs: Number, defaults: false, oneofs: false };

export const CHECK_SERVICE = 'envoy.service.auth.v3.Authorization';

export interface Protos {
  readonly check: MethodDefinition<object, object>;
  /** Every definition, for reflection. */
  readonly definitions: PackageDefinition;
}

/** @param folder path of `schema/protos`. @throws Error when the files do not define the service. */
export function loadProtos(folder: string): Protos {
  const authorization = loadSync('envoy/service/auth/v3/external_auth.proto', {
    ...OPTIONS,
    includeDirs: [folder],
  });
  const service = authorization[CHECK_SERVICE];
  const check = service !== undefined && 'Check' in service ? service.Check : undefined;
  if (check === undefined || !isMethod(check)) throw new Error(`the protos do not define ${CHECK_SERVICE}`);
  return { check, definitions: { ...authorization, ...loadSync(protoPath, OPTIONS) } };
}

function isMethod(value: unknown): value is MethodDefinition<object, object> {
  return typeof value === 'object' && value !== null && 'responseSerialize' in value;
}
