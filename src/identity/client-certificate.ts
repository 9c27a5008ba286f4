/**
 * Whom a client certificate stands for, now: trust, revocation, time and rules, for certificates of connections and
 * forwarded ones alike. Invariant: what is remembered of a verification counts only under the trust that made it,
 * and only until the first thing on its path ends.
 */
import type { ForwardingFormat } from '../domain/certificate-settings.ts';
import type { Clock } from '../domain/clock.ts';
import type { Certificate } from './certificates/certificate.ts';
import type { CertificateCause } from './certificates/certificate-cause.ts';
import type { CertificateIdentity, CertificateRules } from './certificates/certificate-rules.ts';
import { type HeaderValues, readForwarded, readForwardedPem } from './certificates/forwarded-certificate.ts';
import type { CertificateTrust, TrustResult } from './certificates/trust.ts';

/** Most verifications that are remembered, about 10 KB each. The longest unused is forgotten first. */
const MAX_REMEMBERED = 2000;
/** How long a refusal is remembered, in milliseconds: a flood of one bad certificate costs one verification a second. */
const REFUSAL_MS = 1000;

/** A certificate with what came along, before anything is known of it. */
export interface PresentedChain {
  readonly leaf: Certificate;
  readonly extra: readonly Certificate[];
}

export type CertificateOutcome =
  | { readonly identity: CertificateIdentity; readonly cause?: undefined }
  | { readonly cause: CertificateCause; readonly identity?: undefined };

/** One verification, and the trust under which it was made. */
interface Verdict {
  readonly trust: CertificateTrust;
  readonly result: TrustResult;
  /** Milliseconds since the epoch. */
  readonly from: number;
  readonly until: number;
}

export class ClientCertificates {
  readonly #trust: () => CertificateTrust;
  readonly #clock: Clock;
  readonly rules: CertificateRules;
  readonly #verdicts = new Map<string, Verdict>();

  /** @param trust the current one; another object after each reload. */
  constructor(trust: () => CertificateTrust, rules: CertificateRules, clock: Clock) {
    this.#trust = trust;
    this.rules = rules;
    this.#clock = clock;
  }

  /**
   * @param allowed names of the authorities that count here; undefined: all.
   * @param forwardedBy name of the rule of the proxy that forwarded it; undefined: its holder showed it.
   */
  identify(
    chain: PresentedChain,
    allowed: ReadonlySet<string> | undefined,
    forwardedBy: string | undefined,
  ): CertificateOutcome {
    const result = this.#judge(chain, allowed);
    if (result.cause !== undefined) return { cause: result.cause };
    const identity = this.rules.identify(result, forwardedBy);
    return identity === undefined ? { cause: 'certificate_identity' } : { identity };
  }

  /** The certificate that a proxy forwards; undefined: its client had none. */
  identifyForwarded(
    format: ForwardingFormat,
    hops: number,
    values: HeaderValues,
    allowed: ReadonlySet<string>,
    forwardedBy: string,
  ): CertificateOutcome | undefined {
    const forwarded = readForwarded(format, hops, values);
    if (forwarded === undefined) return undefined;
    if (forwarded.cause !== undefined) return { cause: forwarded.cause };
    return this.identify(forwarded, allowed, forwardedBy);
  }

  /** A PEM chain that a gateway forwards for a caller. */
  identifyPem(text: string, allowed: ReadonlySet<string>, forwardedBy: string): CertificateOutcome {
    const forwarded = readForwardedPem(text);
    if (forwarded.cause !== undefined) return { cause: forwarded.cause };
    return this.identify(forwarded, allowed, forwardedBy);
  }

  #judge({ leaf, extra }: PresentedChain, allowed: ReadonlySet<string> | undefined): TrustResult {
    const trust = this.#trust();
    const now = this.#clock.now();
    // the same leaf with other certificates beside it may have another path
    const parts = [leaf, ...extra].map(({ thumbprint }) => thumbprint);
    const key = `${parts.join(' ')} ${allowed === undefined ? '*' : [...allowed].join(' ')}`;
    const known = this.#verdicts.get(key);
    if (known !== undefined) {
      this.#verdicts.delete(key);
      if (known.trust === trust && known.from <= now && now < known.until) {
        this.#verdicts.set(key, known);
        return known.result;
      }
    }
    const result = trust.judge(leaf, extra, allowed, now);
    const until = result.cause === undefined ? result.validUntil : now + REFUSAL_MS;
    this.#verdicts.set(key, { trust, result, from: now, until });
    this.#makeRoom();
    return result;
  }

  #makeRoom(): void {
    for (const key of this.#verdicts.keys()) {
      if (this.#verdicts.size <= MAX_REMEMBERED) return;
      this.#verdicts.delete(key);
    }
  }
}
