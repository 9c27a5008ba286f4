/**
 * TLS of one listener. Invariants: TLS 1.3 unless 1.2 is asked for, one protocol alone, no session is ever resumed
 * and none renegotiated, so that every connection has had a full handshake; certificates change without a connection
 * being closed.
 */
import { constants } from 'node:crypto';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { RequestListener } from 'node:http';
import {
  createServer as createTlsServer,
  type SecureContextOptions,
  type Server as TlsServer,
  type TlsOptions,
} from 'node:tls';
import { writePem } from '../../identity/certificates/pem.ts';
import type { Certificate } from '../../identity/certificates/certificate.ts';
import type { RequesterCertificates } from './requester-certificates.ts';

/** Time for a handshake in milliseconds; Node's own two minutes are a gift to whoever wants to hold connections. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** Suites of TLS 1.2, where it is asked for: forward secrecy and authenticated encryption alone (RFC 9325 §4.2). */
const TLS12_CIPHERS =
  'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305';
const TLS13_CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';

/** The server's own certificate, PEM. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface TlsListenerOptions {
  readonly minVersion: 'TLSv1.3' | 'TLSv1.2';
  readonly clientCertificates: 'none' | 'optional' | 'required';
  /** Names of the authorities whose certificates are taken; undefined: all. */
  readonly allowed: ReadonlySet<string> | undefined;
  readonly keyPair: () => KeyPair;
  /** CAs that a handshake may end at; asked for unless there are no client certificates. */
  readonly authorities: () => readonly Certificate[];
  readonly requesters: RequesterCertificates;
  /** Hears of a handshake that failed. Must not throw. */
  readonly failed: (code: string) => void;
}

export class TlsListener {
  readonly #options: TlsListenerOptions;
  #server: TlsServer | undefined;

  constructor(options: TlsListenerOptions) {
    this.#options = options;
  }

  /** For HTTP/1.1. */
  createServer(options: ServerOptions, listener: RequestListener): Server {
    return this.#watch(createServer({ ...options, ...this.#handshake('http/1.1') }, listener));
  }

  /**
   * For HTTP/2, which somebody else speaks.
   * @param accept gets each connection when its handshake is done.
   */
  createSocketServer(accept: (socket: Socket) => void): TlsServer {
    const server = this.#watch(createTlsServer(this.#handshake('h2')));
    server.on('secureConnection', socket => {
      // without the extension a client could mean any protocol
      if (socket.alpnProtocol === 'h2') accept(socket);
      else socket.destroy();
    });
    return server;
  }

  #handshake(protocol: string): TlsOptions {
    const { clientCertificates } = this.#options;
    return {
      ...this.#context(),
      ALPNProtocols: [protocol],
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      requestCert: clientCertificates !== 'none',
      rejectUnauthorized: clientCertificates === 'required',
    };
  }

  #watch<S extends TlsServer>(server: S): S {
    const { requesters, allowed, failed } = this.#options;
    server.on('secureConnection', socket => requesters.opened(socket, allowed));
    server.on('tlsClientError', (error: NodeJS.ErrnoException) => failed(error.code ?? 'unknown'));
    this.#server = server;
    return server;
  }

  /** New connections use what is current from here on; open ones stay, and each of their requests is judged anew. */
  reload(): void {
    this.#server?.setSecureContext(this.#context());
  }

  #context(): SecureContextOptions {
    const { minVersion, clientCertificates, keyPair, authorities } = this.#options;
    const { certificate, key } = keyPair();
    return {
      cert: certificate,
      key,
      // without a list of our own, Node would trust every public CA
      ...(clientCertificates === 'none' ? {} : { ca: authorities().map(({ der }) => writePem(der)) }),
      minVersion,
      maxVersion: 'TLSv1.3',
      ciphers: minVersion === 'TLSv1.3' ? TLS13_CIPHERS : `${TLS13_CIPHERS}:${TLS12_CIPHERS}`,
      honorCipherOrder: true,
      // a resumed session would skip what a handshake checks
      secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
    };
  }
}
