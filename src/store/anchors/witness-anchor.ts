/**
 * An anchor at a witness: a service of somebody else that cosigns checkpoints which continue what it saw before
 * (c2sp.org/tlog-witness v1.0.0, add-checkpoint). Invariants: only cosignatures of the configured key count; what
 * comes over the network is limited in time and size; a redirect is not followed.
 */
import { AnchorConflict, type AnchorTarget } from '../../decision-log/anchor.ts';
import type { SignedCheckpoint } from '../../decision-log/ports.ts';
import {
  formatNote,
  type NoteVerifier,
  parseNote,
  verifiedSignatures,
} from '../../decision-log/signed-note.ts';
import { AppError, messageOf } from '../../domain/errors.ts';

/** Longest answer of a witness that is read, in bytes: a cosignature line has some 150. */
const MAX_ANSWER_BYTES = 16_384;
/** Requests of one attempt: one to learn the size that the witness has, one to advance it, one for a race. */
const MAX_REQUESTS = 3;
/** Most consistency proof lines that a client may send. */
const MAX_PROOF_LINES = 63;

/** Hashes that prove that the first tree is a prefix of the second. */
export type ConsistencyProver = (from: number, to: number) => Promise<readonly Uint8Array[]>;

export interface WitnessOptions {
  readonly name: string;
  /** Submission prefix: `add-checkpoint` is put behind it. */
  readonly url: string;
  /** Of the witness's cosignatures. */
  readonly verifier: NoteVerifier;
  readonly prove: ConsistencyProver;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export class WitnessAnchor implements AnchorTarget {
  readonly name: string;
  readonly #options: WitnessOptions;
  readonly #endpoint: string;
  /** Size of the checkpoint that the witness cosigned last, as it said itself. */
  #cosigned = 0;

  constructor(options: WitnessOptions) {
    this.name = options.name;
    this.#options = options;
    this.#endpoint = `${options.url.replace(/\/+$/, '')}/add-checkpoint`;
  }

  async publish(checkpoint: SignedCheckpoint, signal: AbortSignal): Promise<readonly string[]> {
    for (let request = 0; request < MAX_REQUESTS; request++) {
      const answer = await this.#submit(checkpoint, signal);
      if (answer.status === 200) {
        const lines = this.#cosignatures(checkpoint, answer.body);
        this.#cosigned = checkpoint.size;
        return lines;
      }
      // a conflict that can be mended tells the size to start from
      this.#cosigned = this.#sizeToStartFrom(checkpoint, answer);
    }
    throw new Error('somebody else advances this log at the witness');
  }

  async #submit({ size, note }: SignedCheckpoint, signal: AbortSignal): Promise<Answer> {
    // a size above the log's is for the witness to complain about
    const from = Math.min(this.#cosigned, size);
    const proof = from === 0 || from === size ? [] : await this.#options.prove(from, size);
    if (proof.length > MAX_PROOF_LINES) throw new Error('the consistency proof is too long');
    const lines = proof.map(hash => `${Buffer.from(hash).toString('base64')}\n`).join('');
    return await post(this.#endpoint, `old ${from}\n${lines}\n${note}`, signal);
  }

  #cosignatures(checkpoint: SignedCheckpoint, body: string): readonly string[] {
    const { text, signatures } = parseNote(checkpoint.note);
    const answered = parseNote(`${text}\n${body}`).signatures;
    const ours = verifiedSignatures({ text, signatures: answered }, [this.#options.verifier]);
    if (ours.length === 0) {
      throw new Error(`the witness answered without a cosignature of \`${this.#options.verifier.name}\``);
    }
    const seen = new Set(signatures.map(({ name, keyId }) => `${name}+${keyId}`));
    const added = ours.filter(({ name, keyId }) => !seen.has(`${name}+${keyId}`));
    return formatNote({ text, signatures: added })
      .slice(text.length + 1)
      .trimEnd()
      .split('\n');
  }

  /** @throws AnchorConflict, or Error saying why the witness refused and what to do */
  #sizeToStartFrom({ origin, size }: SignedCheckpoint, { status, contentType, body }: Answer): number {
    switch (status) {
      case 409:
        return this.#heldSize(size, contentType, body);
      case 422:
        // no history contradicts the empty tree, so this is something else than a fork
        if (Math.min(this.#cosigned, size) === 0)
          throw new Error('the witness answered 422 to a request without a proof');
        throw new AnchorConflict(
          this.name,
          this.#cosigned,
          `it does not find its checkpoint of ${this.#cosigned} entries in the history of this log`,
        );
      case 404:
        throw new Error(`the witness does not know \`${origin}\`: give its operator the key of this log`);
      case 403:
        throw new Error(
          `the witness has another key for \`${origin}\`: give its operator the key of this log`,
        );
      default:
        throw new Error(`the witness answered ${status}`);
    }
  }

  #heldSize(size: number, contentType: string, body: string): number {
    const asked = Math.min(this.#cosigned, size);
    const text = body.trim();
    if (contentType.split(';', 1)[0]?.trim() !== 'text/x.tlog.size' || !/^(?:0|[1-9]\d{0,15})$/.test(text)) {
      // without a size it is the other conflict of the specification: one size, two roots
      if (asked === size) throw this.#otherHistory(size);
      throw new Error('the witness answered 409 without the size that it has');
    }
    const held = Number(text);
    if (held > size) {
      throw new AnchorConflict(
        this.name,
        held,
        `it has cosigned a checkpoint of ${held} entries, the log has ${size}`,
      );
    }
    if (held === asked) {
      if (asked === size) throw this.#otherHistory(size);
      throw new Error(`the witness answered 409 and has ${held} entries, as the request said`);
    }
    return held;
  }

  #otherHistory(size: number): AnchorConflict {
    return new AnchorConflict(this.name, size, `it has cosigned another history of ${size} entries`);
  }
}

async function post(url: string, body: string, signal: AbortSignal): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'text/plain; charset=utf-8' },
      body,
      redirect: 'manual',
      signal,
    });
    return {
      status: response.status,
      contentType: response.headers.get('content-type') ?? '',
      body: await readLimited(response),
    };
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new Error(`the witness cannot be reached: ${rootCause(error)}`, { cause: error });
  }
}

/** @throws AppError when the answer is longer than MAX_ANSWER_BYTES */
async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    // leaving the loop ends the transfer
    if (length > MAX_ANSWER_BYTES) {
      throw new AppError('PAYLOAD_TOO_LARGE', `the witness answered more than ${MAX_ANSWER_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** `fetch failed` says nothing; what it wraps does. */
function rootCause(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
}
