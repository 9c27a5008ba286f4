/**
 * The client certificate behind a request: that of the connection, or the one that a listed proxy forwards on its own
 * verified connection. Invariants: it is judged anew on each request, not only at the handshake; headers count from
 * listed proxies alone, and where there are any, from nobody else may they even come.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { type Certificate, readCertificate } from '../../identity/certificates/certificate.ts';
import type { CertificateCause } from '../../identity/certificates/certificate-cause.ts';
import { CertificateError } from '../../identity/certificates/certificate-error.ts';
import type { CertificateIdentity } from '../../identity/certificates/certificate-rules.ts';
import { FORWARDING_HEADERS } from '../../identity/certificates/forwarded-certificate.ts';
import { MAX_INTERMEDIATES } from '../../identity/certificates/path.ts';
import type {
  CertificateOutcome,
  ClientCertificates,
  PresentedChain,
} from '../../identity/client-certificate.ts';

/** One connection over TLS. */
interface Connection {
  /** Names of the authorities that count on its listener; undefined: all. */
  readonly allowed: ReadonlySet<string> | undefined;
  /** What its peer showed; undefined: nothing. */
  readonly chain: PresentedChain | undefined;
  /** Why what it showed is no certificate. */
  readonly cause: CertificateCause | undefined;
  /** Whether OpenSSL found a path to a CA at the handshake. */
  readonly isAuthorized: boolean;
}

export class RequesterCertificates {
  readonly #certificates: ClientCertificates;
  readonly #connections = new WeakMap<Socket, Connection>();

  constructor(certificates: ClientCertificates) {
    this.#certificates = certificates;
  }

  /** Takes note of a connection whose handshake is done. */
  opened(socket: TLSSocket, allowed: ReadonlySet<string> | undefined): void {
    const isAuthorized = socket.authorized;
    try {
      this.#connections.set(socket, { allowed, chain: chainOf(socket), cause: undefined, isAuthorized });
    } catch (error) {
      if (!(error instanceof CertificateError)) throw error;
      const cause = 'certificate_malformed';
      this.#connections.set(socket, { allowed, chain: undefined, cause, isAuthorized });
    }
  }

  /**
   * Who holds the connection itself, whatever headers say: a gateway's question holds the headers of its client.
   * @returns undefined when no certificate came with the connection.
   */
  holder(socket: Socket): CertificateOutcome | undefined {
    const connection = this.#connections.get(socket);
    if (connection?.cause !== undefined) return { cause: connection.cause };
    return connection?.chain === undefined ? undefined : this.#identify(connection, connection.chain);
  }

  /**
   * Who asks, by the connection or by what a listed proxy says of its client.
   * @returns undefined when no certificate came with the request.
   */
  requester(incoming: IncomingMessage): CertificateOutcome | undefined {
    const shown = this.holder(incoming.socket);
    if (shown?.cause !== undefined) return shown;
    const proxy = shown?.identity.proxy;
    if (proxy !== undefined) return this.#forwarded(incoming, proxy, shown?.identity.certificate.rule ?? '');
    const isSpoofed =
      this.#certificates.rules.hasProxies &&
      FORWARDING_HEADERS.some(name => incoming.headers[name] !== undefined);
    return isSpoofed ? { cause: 'forwarded_untrusted' } : shown;
  }

  #identify({ allowed, isAuthorized }: Connection, chain: PresentedChain): CertificateOutcome {
    const outcome = this.#certificates.identify(chain, allowed, undefined);
    if (outcome.cause !== undefined || isAuthorized) return outcome;
    // two judges: what OpenSSL refused at the handshake stays refused on that connection
    return { cause: 'certificate_handshake' };
  }

  #forwarded(
    incoming: IncomingMessage,
    { format, hops, authorities }: NonNullable<CertificateIdentity['proxy']>,
    name: string,
  ): CertificateOutcome | undefined {
    const values = (header: string): readonly string[] => incoming.headersDistinct[header] ?? [];
    return this.#certificates.identifyForwarded(format, hops, values, new Set(authorities), name);
  }
}

/**
 * What the peer showed, the leaf first. Node 24.21 keeps to itself what came along (nodejs/node issue 65579), and
 * then only CAs from the files of an authority can stand between.
 * @throws CertificateError
 */
function chainOf(socket: TLSSocket): PresentedChain | undefined {
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return undefined;
  const extra: Certificate[] = [];
  const seen = new Set<string>();
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // a self-signed certificate is its own issuer
  while (next !== undefined && !seen.has(next.fingerprint256) && extra.length <= MAX_INTERMEDIATES) {
    if (seen.size > 0) extra.push(readCertificate(next.raw));
    seen.add(next.fingerprint256);
    next = issuerOf(next);
  }
  return { leaf: readCertificate(leaf.raw), extra };
}

/** The type says that there always is one. */
function issuerOf(certificate: {
  issuerCertificate?: DetailedPeerCertificate;
}): DetailedPeerCertificate | undefined {
  return certificate.issuerCertificate;
}
