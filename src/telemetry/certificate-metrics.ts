/** Metrics of TLS and of client certificates. Invariant: labels are names of the configuration and closed words. */
import { Counter, Gauge } from 'prom-client';
import type { Metrics } from './metrics.ts';

/** Values that are read when Prometheus asks. */
export interface CertificateSources {
  /** Seconds until the certificate of each listener ends; negative when it has. */
  readonly expirySeconds: () => Readonly<Record<string, number>>;
  /** Seconds until the first revocation list ends; undefined without lists. */
  readonly listExpirySeconds: () => number | undefined;
}

export class CertificateMetrics {
  readonly #handshakes: Counter<'listener' | 'code'>;
  readonly #reloads: Counter<'part' | 'result'>;
  readonly #metrics: Pick<Metrics, 'register'>;

  constructor(metrics: Pick<Metrics, 'register'>) {
    this.#metrics = metrics;
    this.#handshakes = new Counter({
      name: 'duramen_tls_handshake_failures_total',
      help: 'Connections that ended before their handshake was done',
      labelNames: ['listener', 'code'],
      registers: [],
    });
    this.#reloads = new Counter({
      name: 'duramen_tls_reloads_total',
      help: 'Changed certificates, keys, CAs and revocation lists, by whether they are used',
      labelNames: ['part', 'result'],
      registers: [],
    });
    metrics.register(this.#handshakes);
    metrics.register(this.#reloads);
  }

  /** @param code of the error, of the closed set of Node and OpenSSL. */
  handshakeFailed(listener: string, code: string): void {
    this.#handshakes.inc({ listener, code });
  }

  reloaded(part: string, result: 'changed' | 'refused'): void {
    this.#reloads.inc({ part, result });
  }

  observe({ expirySeconds, listExpirySeconds }: CertificateSources): void {
    this.#metrics.register(
      new Gauge({
        name: 'duramen_tls_certificate_expiry_seconds',
        help: 'Until the certificate of a listener expires',
        labelNames: ['listener'],
        registers: [],
        collect() {
          for (const [listener, seconds] of Object.entries(expirySeconds())) this.set({ listener }, seconds);
        },
      }),
    );
    this.#metrics.register(
      new Gauge({
        name: 'duramen_tls_revocation_list_expiry_seconds',
        help: 'Until the first list of revoked certificates is out of date',
        registers: [],
        collect() {
          const seconds = listExpirySeconds();
          if (seconds === undefined) this.remove();
          else this.set(seconds);
        },
      }),
    );
  }
}
