/**
 * Asks issuers for JSON documents. Invariants: only addresses that the rules allow, checked again for what a name
 * resolves to at the moment of the connection; no redirect is followed; size and time are bounded.
 */
import { lookup as resolve } from 'node:dns';
import { type IncomingMessage, request as requestHttp, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { LookupFunction } from 'node:net';
import { messageOf } from '../../domain/errors.ts';
import type { JsonObject } from '../../domain/json.ts';
import { AddressBook, checkUrl, type HostRules, mayBePrivate } from './host-rules.ts';
import { parseStrictObject } from './strict-json.ts';

/** Largest document in bytes: a hundred RSA keys with certificates are half of it. */
export const MAX_DOCUMENT_BYTES = 262_144;
/** Longest time for one document, connection and body included, in milliseconds. */
const DEADLINE_MS = 5_000;

export interface DocumentRequest {
  readonly url: string;
  readonly rules: HostRules;
  /** A form to post; absent: the document is read by GET. */
  readonly form?: { readonly body: string; readonly authorization: string };
}

/** Reads documents. Rejects with DocumentError, whose message names what happened and no part of the answer. */
export interface Documents {
  read(request: DocumentRequest): Promise<JsonObject>;
}

/** An issuer's document could not be had. */
export class DocumentError extends Error {
  /** HTTP status of the answer, when it was not 200. */
  readonly status: number | undefined;

  constructor(
    message: string,
    { cause, status }: { readonly cause?: unknown; readonly status?: number | undefined } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'DocumentError';
    this.status = status;
  }
}

export interface DocumentOptions {
  /** Longest time for one document in milliseconds. */
  readonly deadlineMs?: number;
}

export class RemoteDocuments implements Documents {
  readonly #addresses = new AddressBook();
  readonly #options: DocumentOptions;

  constructor(options: DocumentOptions = {}) {
    this.#options = options;
  }

  async read(request: DocumentRequest): Promise<JsonObject> {
    const objection = checkUrl(request.url, request.rules, 'the address');
    if (objection !== undefined) throw new DocumentError(objection);
    const url = new URL(request.url);
    try {
      const text = await this.#exchange(url, request, AbortSignal.timeout(this.#deadlineMs));
      const document = parseStrictObject(text);
      if (document === undefined) throw new DocumentError('the answer is no JSON object');
      return document;
    } catch (error) {
      if (error instanceof DocumentError) throw error;
      const slow = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError');
      const what = slow ? `it took longer than ${this.#deadlineMs} ms` : messageOf(error);
      throw new DocumentError(what, { cause: error });
    }
  }

  get #deadlineMs(): number {
    return this.#options.deadlineMs ?? DEADLINE_MS;
  }

  #exchange(url: URL, { rules, form }: DocumentRequest, signal: AbortSignal): Promise<string> {
    const options: RequestOptions = {
      method: form === undefined ? 'GET' : 'POST',
      // a connection of its own: what one issuer's answer left behind never reaches another
      agent: false,
      signal,
      lookup: this.#lookup(mayBePrivate(url, rules)),
      headers: {
        accept: 'application/json',
        'accept-encoding': 'identity',
        ...(form === undefined
          ? {}
          : {
              authorization: form.authorization,
              'content-type': 'application/x-www-form-urlencoded',
              'content-length': Buffer.byteLength(form.body),
            }),
      },
    };
    return new Promise((resolve, reject) => {
      const answered = (response: IncomingMessage): void => {
        readText(response).then(resolve, (error: unknown) => {
          response.destroy();
          reject(error instanceof Error ? error : new DocumentError('the answer broke off'));
        });
      };
      const request = url.protocol === 'http:' ? requestHttp : requestHttps;
      const outgoing = request(url, options, answered);
      outgoing.on('error', reject);
      outgoing.end(form?.body);
    });
  }

  /** Resolves a name and refuses it when any of its addresses is special, so that the address used was checked. */
  #lookup(privateAllowed: boolean): LookupFunction {
    return (hostname, options, callback) => {
      resolve(hostname, { ...options, all: true }, (error, addresses) => {
        if (error !== null) return callback(error, []);
        const special = addresses.some(({ address }) => this.#addresses.isSpecial(address));
        if (special && !privateAllowed) {
          return callback(
            new DocumentError(`\`${hostname}\` resolves to a private address and is not in \`privateHosts\``),
            [],
          );
        }
        const [first] = addresses;
        if (options.all === true || first === undefined) return callback(null, addresses);
        return callback(null, first.address, first.family);
      });
    };
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  // a redirect is an answer like any other that is not 200
  const { statusCode: status } = response;
  if (status !== 200) throw new DocumentError(`the answer has status ${status}`, { status });
  const coding = response.headers['content-encoding'];
  if (coding !== undefined && coding !== 'identity') throw new DocumentError('the answer is compressed');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    if (!(chunk instanceof Buffer)) throw new DocumentError('the answer is no bytes');
    size += chunk.length;
    if (size > MAX_DOCUMENT_BYTES) {
      throw new DocumentError(`the answer has more than ${MAX_DOCUMENT_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch {
    throw new DocumentError('the answer is not UTF-8');
  }
}
