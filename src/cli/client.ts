/**
 * The service over HTTP, as the commands see it. Invariants: every failure becomes a CliError that says what to
 * fix; the key is read from the environment alone, so it never stands in a process list or a shell history; what is
 * answered has a limit in bytes and in time, and leads nowhere else.
 */
import { z } from 'zod';
import { messageOf, type Problem } from '../domain/errors.ts';
import { CliError, EXIT, exitCodeOf } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

const DEFAULT_URL = 'http://127.0.0.1:8181';
/** Longest JSON that is read, in bytes: pages of lists stay far below. */
const MAX_JSON_BYTES = 67_108_864;
/** How long an answer that is read whole may take, in milliseconds: a large bundle is checked for some seconds. */
const ANSWER_MS = 600_000;
/** Bytes that are set aside at first for an answer that does not tell its size. */
const FIRST_BYTES = 65_536;

/** The body of every failure, as far as it is shown. */
export const problemSchema = z.looseObject({
  code: z.string(),
  detail: z.string(),
  errors: z
    .array(
      z.object({
        pointer: z.string().optional(),
        file: z.string().optional(),
        line: z.number().optional(),
        column: z.number().optional(),
        message: z.string(),
        hint: z.string().optional(),
      }),
    )
    .default([]),
});

export interface ApiRequest {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path with query, `/v1/layers`. */
  readonly path: string;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, with `contentType`. */
  readonly body?: ReadableStream<Uint8Array>;
  readonly contentType?: string;
  /** Beside those that the client sends by itself. */
  readonly headers?: Readonly<Record<string, string>>;
}

export class ApiClient {
  readonly #url: string;
  readonly #key: string | undefined;
  readonly #answerMs: number;

  /** @param answerMs how long an answer that is read whole may take, in milliseconds */
  constructor(url: string, key: string | undefined, answerMs = ANSWER_MS) {
    this.#url = url.replace(/\/+$/, '');
    this.#key = key;
    this.#answerMs = answerMs;
  }

  get url(): string {
    return this.#url;
  }

  /** The parsed answer. @throws CliError for every failure, one of the service's included. */
  async fetchJson<S extends z.ZodType>(schema: S, request: ApiRequest): Promise<z.output<S>> {
    const response = await this.#send(request, AbortSignal.timeout(this.#answerMs));
    if (!response.ok) throw await this.#refusal(response);
    const body: unknown = response.status === 204 ? {} : await this.#readJson(response, request.path);
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    throw new CliError(`the answer of ${this.#url}${request.path} is not one of this version`, {
      hint: 'use the client and the service of the same version',
      cause: parsed.error,
    });
  }

  /**
   * The bytes of an answer; undefined when there is no such thing (404). @throws CliError for every other failure,
   * and for an answer beyond `maxBytes`
   */
  async fetchBytes(path: string, maxBytes: number): Promise<Buffer | undefined> {
    const response = await this.#send({ path }, AbortSignal.timeout(this.#answerMs));
    if (response.status === 404) {
      await response.body?.cancel();
      return undefined;
    }
    if (!response.ok) throw await this.#refusal(response);
    return this.#readBody(response, path, maxBytes);
  }

  /** The answer of a request that succeeded, unread. @throws CliError otherwise. */
  async fetch(request: ApiRequest): Promise<Response> {
    const response = await this.#send(request);
    if (response.ok) return response;
    throw await this.#refusal(response);
  }

  async #send(request: ApiRequest, signal?: AbortSignal): Promise<Response> {
    const { method = 'GET', path, json, body, contentType } = request;
    const headers: Record<string, string> = {
      accept: 'application/json, application/x-ndjson',
      ...request.headers,
    };
    if (this.#key !== undefined) headers['authorization'] = `Bearer ${this.#key}`;
    if (json !== undefined) headers['content-type'] = 'application/json';
    if (contentType !== undefined) headers['content-type'] = contentType;
    let response: Response;
    try {
      response = await fetch(`${this.#url}${path}`, {
        method,
        headers,
        // the service sends nobody elsewhere, and a key or a body is for it alone
        redirect: 'manual',
        ...(signal === undefined ? {} : { signal }),
        ...(json === undefined ? {} : { body: JSON.stringify(json) }),
        ...(body === undefined ? {} : { body, duplex: 'half' }),
      });
    } catch (error) {
      throw this.#broken(path, error);
    }
    if (response.status < 300 || response.status > 399) return response;
    await response.body?.cancel();
    throw new CliError(`${this.#url}${path} sends to another address (${response.status})`, {
      hint: 'give --url or DURAMEN_URL the address of the service itself',
    });
  }

  /** The whole body, in memory of about its size however small the pieces are in which it comes. */
  async #readBody(response: Response, path: string, maxBytes: number): Promise<Buffer> {
    const body: AsyncIterable<Uint8Array> | null = response.body;
    let bytes = Buffer.alloc(FIRST_BYTES);
    let size = 0;
    try {
      for await (const chunk of body ?? []) {
        if (size + chunk.length > maxBytes) {
          throw new CliError(`${this.#url}${path} is larger than ${maxBytes} bytes`);
        }
        if (size + chunk.length > bytes.length) bytes = Buffer.concat([bytes], 2 * (size + chunk.length));
        bytes.set(chunk, size);
        size += chunk.length;
      }
    } catch (error) {
      if (error instanceof CliError) throw error;
      throw this.#broken(path, error);
    }
    return bytes.subarray(0, size);
  }

  /** @throws CliError when it does not come; undefined when it is no JSON */
  async #readJson(response: Response, path: string): Promise<unknown> {
    const bytes = await this.#readBody(response, path, MAX_JSON_BYTES);
    try {
      return JSON.parse(bytes.toString('utf8'));
    } catch {
      return undefined;
    }
  }

  /** What a failure of fetch says to the person. */
  #broken(path: string, error: unknown): CliError {
    if (error instanceof Error && error.name === 'TimeoutError') {
      return new CliError(`${this.#url}${path} took longer than ${this.#answerMs / 1000} s`, {
        cause: error,
        hint: 'look at /readyz?verbose of the service, and at what stands between',
      });
    }
    return unreachable(this.#url, error);
  }

  async #refusal(response: Response): Promise<CliError> {
    const body = await this.#readJson(response, '').catch(() => undefined);
    const parsed = problemSchema.safeParse(body);
    const hint = this.#hintFor(response.status);
    if (!parsed.success) {
      return new CliError(`${this.#url} answered ${response.status} without saying why`, {
        hint: hint ?? 'is this address a Duramen service?',
      });
    }
    return refusalOf(parsed.data, hint);
  }

  #hintFor(status: number): string | undefined {
    if (status === 401 && this.#key === undefined)
      return 'set DURAMEN_KEY to an API key (`duramen key create`)';
    if (status === 401) return 'DURAMEN_KEY is not a valid key of this service: revoked, expired or mistyped';
    if (status === 503) return 'the service is up and cannot answer now: see /readyz?verbose';
    return undefined;
  }
}

/** The client that DURAMEN_URL, DURAMEN_KEY and `--url` ask for. */
export function clientOf(terminal: Terminal, url: string | undefined): ApiClient {
  const chosen = url ?? terminal.env['DURAMEN_URL'] ?? DEFAULT_URL;
  if (!URL.canParse(chosen) || !/^https?:/.test(chosen)) {
    throw new CliError(`\`${chosen}\` is not an address`, {
      exitCode: EXIT.usage,
      hint: `give --url or DURAMEN_URL the form ${DEFAULT_URL}`,
    });
  }
  const key = terminal.env['DURAMEN_KEY'];
  return new ApiClient(chosen, key === '' ? undefined : key);
}

/** A failure of the service as the failure of the command. */
export function refusalOf({ code, detail, errors }: z.output<typeof problemSchema>, hint?: string): CliError {
  return new CliError(`${detail} (${code})`, {
    exitCode: exitCodeOf(code),
    problems: errors.map(problemOf),
    ...(hint === undefined ? {} : { hint }),
  });
}

function unreachable(url: string, error: unknown): CliError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  return new CliError(`cannot reach ${url}: ${messageOf(cause)}`, {
    hint: 'start the service with `duramen serve`, or point DURAMEN_URL to it',
    cause: error,
  });
}

function problemOf(sent: z.output<typeof problemSchema>['errors'][number]): Problem {
  const { pointer, file, line, column, message, hint } = sent;
  return {
    message,
    ...(pointer === undefined ? {} : { pointer }),
    ...(file === undefined ? {} : { file }),
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
    ...(hint === undefined ? {} : { hint }),
  };
}
