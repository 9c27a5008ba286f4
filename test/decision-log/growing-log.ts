/**
 * A log of plain texts whose tree and checkpoints are real: it grows, and copies of it go their own way, which is
 * what anchors are there to notice.
 */
import { signCheckpoint } from '../../src/decision-log/checkpoint.ts';
import { leafHash } from '../../src/decision-log/leaf-hash.ts';
import { LogJudge } from '../../src/decision-log/log-judge.ts';
import type { SignedCheckpoint } from '../../src/decision-log/ports.ts';
import { consistencyProof, treeRoot, type HashReader } from '../../src/decision-log/proofs.ts';
import {
  ed25519Signer,
  ed25519Verifier,
  formatSignerKey,
  type NoteVerifier,
} from '../../src/decision-log/signed-note.ts';
import type { AnchoredHead } from '../../src/decision-log/anchor.ts';
import { packedRoot } from '../../src/decision-log/tree-hash.ts';

export class GrowingLog {
  readonly origin: string;
  readonly verifierKey: string;
  readonly leaves: string[];
  readonly #skey: string;
  /** Instant of its checkpoints, milliseconds since the epoch. */
  time = Date.UTC(2026, 10, 20, 12);

  constructor(origin = 'test.example/log', leaves: readonly string[] = [], seed = 1) {
    this.origin = origin;
    this.leaves = [...leaves];
    this.#skey = formatSignerKey(origin, new Uint8Array(32).fill(seed));
    this.verifierKey = ed25519Signer(this.#skey).verifierKey;
  }

  get size(): number {
    return this.leaves.length;
  }

  /** Adds `count` leaves. */
  grow(count: number, text = 'leaf'): this {
    for (let added = 0; added < count; added++) this.leaves.push(`${text} ${this.size}`);
    return this;
  }

  /** Its first `size` leaves as a log of the same name and key. */
  copy(size = this.size): GrowingLog {
    return new GrowingLog(this.origin, this.leaves.slice(0, size));
  }

  root(size: number): Promise<Uint8Array> {
    return treeRoot(size, this.#hashes());
  }

  readonly consistencyProof = (from: number, to: number): Promise<readonly Uint8Array[]> =>
    consistencyProof(from, to, this.#hashes());

  async signCheckpoint(): Promise<SignedCheckpoint> {
    const { origin, size, time } = this;
    const root = await this.root(size);
    return {
      origin,
      size,
      root,
      time,
      note: signCheckpoint({ origin, size, root }, [ed25519Signer(this.#skey)]),
    };
  }

  judge(replaced: readonly AnchoredHead[] = []): LogJudge {
    return new LogJudge(this.origin, this.judgeKey, replaced);
  }

  /** What verifies its checkpoints. */
  get judgeKey(): NoteVerifier {
    return ed25519Verifier(this.verifierKey);
  }

  #hashes(): HashReader {
    return {
      hash: (height, index) => {
        const span = 2 ** height;
        const leaves = this.leaves.slice(index * span, (index + 1) * span);
        return packedRoot(Buffer.concat(leaves.map(text => leafHash(Buffer.from(text)))));
      },
    };
  }
}
