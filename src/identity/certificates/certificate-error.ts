/** What is wrong with bytes that should be a certificate, a list of revocations or a header that carries one. */

/** Malformed or unsupported material. The message says what, in words, and repeats nothing of the bytes. */
export class CertificateError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'CertificateError';
  }
}
