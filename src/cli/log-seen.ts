/**
 * Decision ids that were seen outside the log: in a gateway's access log, its answers, or a plain list. Invariant:
 * a line is read for what it names, never guessed at: a UUID that nothing calls a decision id is no decision id.
 */
import { createReadStream } from 'node:fs';
import { messageOf } from '../domain/errors.ts';
import { CliError, EXIT } from './exit-code.ts';
import { readPieces, type TextPiece } from './text-pieces.ts';

/** Most ids of one run: at about 150 bytes each this is 750 MB, and a larger file can be split. */
const MAX_IDS = 5_000_000;

/** `decisionId`, `decision_id` or the header, as JSON (escaped in a string as well), `key=value` or `key: value`. */
const NAMED =
  /(?:\bdecision_?id|\bx-duramen-decision-id)[\\"']*\s*[:=]\s*[[\\"']*([0-9A-Za-z][\w.:-]{7,127})/gi;
/** The header that names the origin, the index of the entry and the size of the log at the answer. */
const POSITION = /\bx-duramen-log[\\"']*\s*[:=]\s*[[\\"']*([^\s\\"'[\]]{1,256}) (\d{1,15}) (\d{1,15})\b/gi;
/** Ids of decisions are UUIDs in lower case; who wrote one down may have changed that, and means the same. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** A line that is one id and nothing else, quoted or not. */
const BARE = /^\s*["']?([0-9A-Za-z][\w.:-]{7,127})["']?,?\s*$/;

/** Where an answer said that its entry stands. */
export interface SeenPosition {
  readonly origin: string;
  readonly index: number;
  /** Entries that were durable when the answer left. */
  readonly size: number;
  /** Line of the file, from 1. */
  readonly line: number;
}

export interface SeenDecision {
  /** Line of the file, from 1, where the id first stands. */
  readonly line: number;
  /** Index that the same line gives the entry. */
  readonly index?: number;
  /** A later line that gives it another one: an answer that is repeated has the place of the first. */
  readonly other?: { readonly index: number; readonly line: number };
}

export interface SeenLog {
  readonly file: string;
  readonly ids: Map<string, SeenDecision>;
  /** The position with the largest size: the log must have been that large. */
  readonly largest: SeenPosition | undefined;
  readonly lines: number;
  /** Lines that are not empty and name no decision. */
  readonly linesWithout: number;
  /** Lines left out because they name another log: a gateway can ask several services. */
  readonly linesOfOthers: number;
}

/** Reads what a gateway wrote down. @throws CliError when it cannot be read or names no decision at all */
export async function readSeenLog(file: string, origin: string | undefined): Promise<SeenLog> {
  const reader = new SeenReader(file, origin);
  try {
    for await (const piece of readPieces(createReadStream(file, 'utf8'))) reader.add(piece);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`cannot read \`${file}\`: ${messageOf(error)}`, { cause: error });
  }
  return reader.end();
}

class SeenReader {
  readonly #file: string;
  readonly #origin: string | undefined;
  readonly #ids = new Map<string, SeenDecision>();
  #largest: SeenPosition | undefined;
  #lines = 0;
  #without = 0;
  #others = 0;

  constructor(file: string, origin: string | undefined) {
    this.#file = file;
    this.#origin = origin;
  }

  add({ text, line, whole }: TextPiece): void {
    const isNew = line !== this.#lines;
    this.#lines = line;
    const all = [...text.matchAll(POSITION)];
    const positions = all.flatMap(match => this.#position(match));
    if (whole && all.length > 0 && positions.length === 0) {
      this.#others += 1;
      return;
    }
    for (const position of positions) {
      if (position.size > (this.#largest?.size ?? -1)) this.#largest = position;
    }
    const bare = whole ? BARE.exec(text)?.[1] : undefined;
    const ids = bare === undefined ? [...text.matchAll(NAMED)].map(([, id = '']) => id) : [bare];
    // a line of several answers does not say which position is whose, and a piece of a line not what stands in the next
    const only = whole && ids.length === 1 && positions.length === 1 ? positions[0] : undefined;
    for (const id of ids) this.#addId(UUID.test(id) ? id.toLowerCase() : id, only?.index);
    if (isNew && ids.length === 0 && text.trim() !== '') this.#without += 1;
  }

  end(): SeenLog {
    if (this.#ids.size === 0 && this.#others > 0) {
      throw new CliError(`\`${this.#file}\` names decisions of other logs than \`${this.#origin}\` alone`, {
        exitCode: EXIT.usage,
        hint: 'verify the log that answered them: one that was replaced lies in `log-retired` of the data folder',
      });
    }
    if (this.#ids.size === 0) {
      throw new CliError(`\`${this.#file}\` names no decision`, {
        exitCode: EXIT.usage,
        hint: 'one id per line, JSON with `decisionId`, or access-log lines with `x-duramen-decision-id: …`',
      });
    }
    return {
      file: this.#file,
      ids: this.#ids,
      largest: this.#largest,
      lines: this.#lines,
      linesWithout: this.#without,
      linesOfOthers: this.#others,
    };
  }

  #addId(id: string, index: number | undefined): void {
    const known = this.#ids.get(id);
    if (known !== undefined && (known.index !== undefined || index === undefined)) {
      if (index === undefined || known.index === index || known.other !== undefined) return;
      this.#ids.set(id, { ...known, other: { index, line: this.#lines } });
      return;
    }
    if (this.#ids.size >= MAX_IDS) {
      throw new CliError(`\`${this.#file}\` names more than ${MAX_IDS} decisions`, {
        exitCode: EXIT.usage,
        hint: 'split the file and verify its parts one after the other',
      });
    }
    const line = known?.line ?? this.#lines;
    this.#ids.set(id, index === undefined ? { line } : { line, index });
  }

  /** The position, when it is one of the log that is verified. */
  #position([, origin = '', index, size]: RegExpMatchArray): SeenPosition[] {
    if (this.#origin !== undefined && origin !== this.#origin) return [];
    return [{ origin, index: Number(index), size: Number(size), line: this.#lines }];
  }
}
