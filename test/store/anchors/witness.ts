/**
 * A witness over HTTP that keeps to c2sp.org/tlog-witness v1.0.0 to the letter: what the specification says MUST be
 * refused is refused, with its status. Faults can be switched on.
 */
import { sign } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { parseCheckpoint } from '../../../src/decision-log/checkpoint.ts';
import { consistencyFault } from '../../../src/decision-log/proofs.ts';
import { cosignedMessage } from '../../../src/decision-log/cosignature.ts';
import {
  COSIGNATURE,
  ed25519Verifier,
  formatNote,
  formatVerifierKey,
  importSeed,
  keyIdOf,
  parseNote,
  publicKeyOf,
  verifiedSignatures,
} from '../../../src/decision-log/signed-note.ts';

interface Seen {
  readonly size: number;
  readonly root: Uint8Array;
}

/** Answers in place of the real one. */
export type Fault = (request: IncomingMessage, response: ServerResponse) => void;

export interface Request {
  readonly old: number;
  readonly proof: number;
  readonly size: number;
  readonly status: number;
}

const EMPTY: Seen = { size: 0, root: Buffer.alloc(32) };

export class Witness {
  readonly name: string;
  readonly verifierKey: string;
  /** Newest checkpoint cosigned, by origin. */
  readonly seen = new Map<string, Seen>();
  /** Keys of the logs that it knows, by origin. */
  readonly logs = new Map<string, string>();
  readonly requests: Request[] = [];
  fault: Fault | undefined;
  /** Seconds since the epoch of its cosignatures. */
  time = 1_795_176_000;
  readonly #seed: Uint8Array;
  readonly #server: Server;

  private constructor(name: string, seed: number) {
    this.name = name;
    this.#seed = new Uint8Array(32).fill(seed);
    this.verifierKey = formatVerifierKey(name, COSIGNATURE, publicKeyOf(importSeed(this.#seed)));
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(name = 'witness.example/w1', seed = 7): Promise<Witness> {
    const witness = new Witness(name, seed);
    witness.#server.listen(0, '127.0.0.1');
    await once(witness.#server, 'listening');
    return witness;
  }

  get url(): string {
    const address = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the witness does not listen');
    return `http://127.0.0.1:${address.port}/w1`;
  }

  knows({ origin, verifierKey }: { readonly origin: string; readonly verifierKey: string }): this {
    this.logs.set(origin, verifierKey);
    return this;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.fault !== undefined) {
      this.fault(request, response);
      return;
    }
    const chunks: Buffer[] = [];
    const body: AsyncIterable<Buffer> = request;
    for await (const chunk of body) chunks.push(chunk);
    const {
      status,
      body: answer,
      type = 'text/plain; charset=utf-8',
    } = request.method === 'POST' && request.url === '/w1/add-checkpoint'
      ? this.#addCheckpoint(Buffer.concat(chunks).toString('utf8'))
      : { status: 404, body: 'no such endpoint\n' };
    response.writeHead(status, { 'content-type': type }).end(answer);
  }

  #addCheckpoint(body: string): { status: number; body: string; type?: string } {
    const parsed = parseBody(body);
    if (parsed === undefined) return { status: 400, body: 'malformed\n' };
    const { old, proof, note } = parsed;
    const { text } = parseNote(note);
    const { origin, size, root } = parseCheckpoint(text);
    const answer = this.#judge(old, proof, note, { origin, size, root });
    this.requests.push({ old, proof: proof.length, size, status: answer.status });
    if (answer.status !== 200) return answer;
    this.seen.set(origin, { size, root });
    return { status: 200, body: this.cosign(text) };
  }

  #judge(
    old: number,
    proof: readonly Uint8Array[],
    note: string,
    { origin, size, root }: { origin: string; size: number; root: Uint8Array },
  ): { status: number; body: string; type?: string } {
    const key = this.logs.get(origin);
    if (key === undefined) return { status: 404, body: 'unknown log\n' };
    if (!isSigned(note, key)) return { status: 403, body: 'no signature of a known key\n' };
    if (old > size) return { status: 400, body: 'old size above the size\n' };
    const held = this.seen.get(origin) ?? EMPTY;
    const conflict = { status: 409, body: `${held.size}\n`, type: 'text/x.tlog.size' };
    if (old !== held.size) return conflict;
    if (old === 0)
      return proof.length === 0 ? { status: 200, body: '' } : { status: 422, body: 'proof of nothing\n' };
    if (old === size && !Buffer.from(root).equals(held.root)) return conflict;
    return consistencyFault(old, size, held.root, root, proof) === undefined
      ? { status: 200, body: '' }
      : { status: 422, body: 'the proof does not hold\n' };
  }

  /** Signature lines over the text of a checkpoint. */
  cosign(text: string): string {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(BigInt(this.time));
    const key = importSeed(this.#seed);
    const signature = Buffer.concat([time, sign(null, cosignedMessage(text, this.time), key)]);
    const keyId = keyIdOf(this.name, COSIGNATURE, publicKeyOf(key));
    return formatNote({ text, signatures: [{ name: this.name, keyId, signature }] }).slice(text.length + 1);
  }
}

/** Undefined when it is not what the specification describes, line by line. */
function parseBody(body: string): { old: number; proof: readonly Uint8Array[]; note: string } | undefined {
  const end = body.indexOf('\n\n');
  const [oldLine = '', ...lines] = body.slice(0, end).split('\n');
  const match = /^old (0|[1-9]\d*)$/.exec(oldLine);
  const hashes = lines.map(line => Buffer.from(line, 'base64'));
  const canonical = hashes.every((hash, at) => hash.length === 32 && hash.toString('base64') === lines[at]);
  if (end < 0 || match === null || lines.length > 63 || !canonical) return undefined;
  return { old: Number(match[1]), proof: hashes, note: body.slice(end + 2) };
}

function isSigned(note: string, verifierKey: string): boolean {
  try {
    return verifiedSignatures(parseNote(note), [ed25519Verifier(verifierKey)]).length > 0;
  } catch {
    return false;
  }
}
