/** Authentication of end callers, put together: issuers of the configuration, their keys, revocations, enrolment. */
import { readFileSync } from 'node:fs';
import { ConfigError } from '../config.ts';
import type { Config } from '../config/settings.ts';
import type { DirectoryService } from '../directory/service.ts';
import type { CallerRules } from '../domain/caller-rules.ts';
import type { Clock, IdSource } from '../domain/clock.ts';
import { messageOf, type Problem } from '../domain/errors.ts';
import type { CallerAuthenticator } from '../identity/caller.ts';
import { CallerCredentials } from '../identity/callers/caller-credentials.ts';
import { CertificateAuthenticator } from '../identity/callers/certificate-authenticator.ts';
import { Enrolment } from '../identity/callers/enrolment.ts';
import { RevocationList } from '../identity/callers/revocation-list.ts';
import { RevocationService } from '../identity/callers/revocation-service.ts';
import { TokenAuthenticator } from '../identity/callers/token-authenticator.ts';
import { FailureLimiter } from '../identity/failure-limiter.ts';
import { Introspector } from '../identity/jwt/introspection.ts';
import { type Issuer, resolveIssuers } from '../identity/jwt/issuer.ts';
import { KeySource } from '../identity/jwt/key-source.ts';
import { OpaqueTokens } from '../identity/jwt/opaque-tokens.ts';
import { ProofChecker } from '../identity/jwt/proof.ts';
import { RemoteDocuments } from '../identity/jwt/remote-documents.ts';
import { TokenVerifier } from '../identity/jwt/token-verifier.ts';
import type { CallerKeyService } from '../identity/caller-keys/key-service.ts';
import type { CallerKeyStore } from '../identity/caller-keys/ports.ts';
import type { RandomBytes } from '../identity/key-format.ts';
import type { RevocationStore } from '../identity/ports.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { assembleCallerKeys } from './caller-keys.ts';
import type { Certificates } from './certificates.ts';
import type { Events } from './events.ts';
import { DirectoryRegistry } from './principal-registry.ts';

/** Longest secret of an introspection client, in characters. */
const MAX_SECRET_LENGTH = 4096;

export interface CallerParts {
  readonly config: Config;
  readonly revocations: RevocationStore;
  readonly callerKeys: CallerKeyStore;
  readonly directory: DirectoryService;
  readonly events: Events;
  readonly clock: Clock;
  readonly ids: IdSource;
  readonly random: RandomBytes;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly certificates: Pick<Certificates, 'clients'>;
}

export interface Callers {
  readonly authenticator: CallerAuthenticator;
  readonly revocations: RevocationService;
  readonly keys: CallerKeyService;
  /** For gateways whose key has no rules; undefined: they assert. */
  readonly defaultRules: CallerRules | undefined;
  /** Writes down what is known of the last uses of keys. */
  close(): Promise<void>;
}

/** @throws ConfigError when an issuer is not safe to trust as it is configured. */
export async function assembleCallers(parts: CallerParts): Promise<Callers> {
  const { config, directory, events, clock, ids, metrics, logger } = parts;
  const { issuers, problems } = resolveIssuers(config.identity.issuers);
  const { secrets, problems: unread } = readSecrets([...issuers.values()]);
  if (problems.length + unread.length > 0) throw new ConfigError([...problems, ...unread]);

  const documents = new RemoteDocuments();
  const list = new RevocationList();
  const revocations = new RevocationService({
    store: parts.revocations,
    list,
    issuers: [...issuers.values()],
    clock,
    ids,
    announce: event => events.announce(event),
  });
  await revocations.load();
  const trusted = new Map(
    [...issuers].map(([iss, issuer]) => {
      const keys = new KeySource(issuer, documents, clock, (_, failure) =>
        reportKeys(logger, issuer, failure),
      );
      // the first token need not wait; an issuer that is down does not keep the service from starting
      void keys.warm();
      return [iss, { issuer, keys }] as const;
    }),
  );
  const tokens = new TokenAuthenticator({
    verifier: new TokenVerifier(trusted, clock),
    opaque: new OpaqueTokens(issuers.values(), documents, clock, secrets),
    revocations: list,
    introspector: new Introspector(documents, clock, secrets),
    proofs: new ProofChecker(clock),
    enrolment: new Enrolment(new DirectoryRegistry(directory), error =>
      logger.warn({ err: error }, 'a caller could not be made a principal'),
    ),
    refused: cause => metrics.authenticationFailed(`caller_${cause}`),
  });
  const defaultRules = config.identity.defaultMode === 'verify' ? [{ mode: 'verify' } as const] : undefined;
  const callerKeys = await assembleCallerKeys(parts);
  const certificates = new CertificateAuthenticator({
    certificates: parts.certificates.clients,
    registry: new DirectoryRegistry(directory),
    refused: cause => metrics.authenticationFailed(`caller_${cause}`),
  });
  const authenticator = new CallerCredentials({
    tokens,
    keys: callerKeys.authenticator,
    certificates,
    limiter: new FailureLimiter(clock, config.auth.maxFailuresPerMinute),
  });
  const { service: keys } = callerKeys;
  return { authenticator, revocations, keys, defaultRules, close: () => callerKeys.close() };
}

function reportKeys(logger: Logger, { name }: Issuer, failure: string | undefined): void {
  if (failure === undefined) logger.info({ issuer: name }, 'the keys of an issuer can be fetched again');
  else logger.warn({ issuer: name, failure }, 'the keys of an issuer cannot be fetched');
}

/** Secrets of introspection clients, by name of the issuer. */
function readSecrets(issuers: readonly Issuer[]): {
  readonly secrets: ReadonlyMap<string, string>;
  readonly problems: readonly Problem[];
} {
  const secrets = new Map<string, string>();
  const problems: Problem[] = [];
  for (const { name, introspection } of issuers) {
    if (introspection === undefined) continue;
    const path = introspection.clientSecretFile;
    try {
      const secret = readFileSync(path, 'utf8').trim();
      if (secret === '' || secret.length > MAX_SECRET_LENGTH) throw new Error('it is empty or too long');
      secrets.set(name, secret);
    } catch (error) {
      problems.push({
        message: `issuer \`${name}\`: cannot read \`${path}\`: ${messageOf(error)}`,
        hint: 'write the secret of the introspection client into the file, for the user of duramen to read',
      });
    }
  }
  return { secrets, problems };
}
