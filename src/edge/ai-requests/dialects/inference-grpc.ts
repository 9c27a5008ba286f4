/**
 * Open Inference V2 over gRPC, as an HTTP gateway sees it: one frame of five bytes and a protobuf message whose
 * first two fields name model and version. Invariant: a field that stands twice is refused, not overwritten.
 */
import { isUtf8 } from 'node:buffer';
import { type InputClass, type Operation, refuse } from '../ai-request.ts';
import type { DialectRow } from '../dialect.ts';
import type { Facts } from '../facts.ts';

const SERVICE = '/inference.GRPCInferenceService';
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
/** Most fields of one message at its top level. */
const MAX_FIELDS = 10_000;

/** Parameter by which a tensor lies in memory of the server, where anyone's may lie. */
export const SHARED_MEMORY = 'shared_memory_region';
/** Parameter by which a call goes on with what the model keeps of earlier ones. */
export const SEQUENCE = 'sequence_id';
/** Fields of a call that hold tensors, and the field of their parameters. */
const TENSORS: readonly (readonly [field: number, parameters: number])[] = [
  [5, 4],
  [6, 2],
];
/** Fields that are looked at, of which all are kept. */
const ALL_KEPT = 6;

/** The parameter `unload_dependents: false`, which Triton's own client always sends. */
const NO_DEPENDENTS = Buffer.from('\n\x11unload_dependents\x12\x02\x08\x00', 'latin1');

export function inferenceGrpcRows(): DialectRow[] {
  const methods: readonly (readonly [name: string, operation: Operation, input: InputClass | undefined])[] = [
    ['ModelInfer', 'predict', 'tensor'],
    ['ModelReady', 'invoke', undefined],
    ['ModelMetadata', 'invoke', undefined],
    ['ModelConfig', 'invoke', undefined],
    ['ModelStatistics', 'invoke', undefined],
    ['RepositoryModelLoad', 'deploy', undefined],
    ['RepositoryModelUnload', 'retire', undefined],
  ];
  return methods.map(([name, operation, input]) => ({
    dialect: `open-inference.grpc-${name}`,
    methods: ['POST'],
    path: `${SERVICE}/${name}`,
    operation,
    body: { kind: 'bytes', read: (bytes, facts) => readMessage(bytes, facts, name, input) },
  }));
}

function readMessage(bytes: Uint8Array, facts: Facts, method: string, input: InputClass | undefined): void {
  const isRepository = method.startsWith('Repository');
  const fields = readFields(unframe(bytes));
  const model = textOf(fields, isRepository ? 2 : 1);
  const version = isRepository ? '' : textOf(fields, 2);
  const parameters = fields.get(3) ?? [];
  const isHarmless = parameters.every(one => method === 'RepositoryModelUnload' && NO_DEPENDENTS.equals(one));
  if (isRepository && (fields.has(1) || !isHarmless)) {
    refuse('INPUT_REJECTED', 'a model may not be loaded from a repository or with parameters of the request');
  }
  if (model === '') refuse('MODEL_UNKNOWN', 'the message names no model');
  facts.models.name('the message', version === '' ? model : `${model}@${version}`);
  if (input === undefined) return;
  facts.media(input, bytes.byteLength);
  if (namesIn(fields.get(4) ?? []).includes(SEQUENCE)) facts.classes.add('stored');
  for (const [field, place] of TENSORS) {
    for (const tensor of fields.get(field) ?? []) {
      if (namesIn(readFields(tensor).get(place) ?? []).includes(SHARED_MEMORY)) refuseSharedMemory();
    }
  }
}

/** Names of the entries of a map. */
function namesIn(entries: readonly Uint8Array[]): readonly string[] {
  return entries.flatMap(entry =>
    (readFields(entry).get(1) ?? []).map(name => Buffer.from(name).toString('latin1')),
  );
}

/** What lies there was not shown, and may be another tenant's. */
export function refuseSharedMemory(): never {
  refuse('INPUT_REJECTED', 'a tensor lies in shared memory of the server, which nobody here sees');
}

/** The only message of a unary call (gRPC over HTTP/2, "Length-Prefixed-Message"). */
function unframe(bytes: Uint8Array): Uint8Array {
  if (bytes.byteLength < 5) refuse('BODY_INCOMPLETE', 'the gRPC message has no whole frame');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== 0) refuse('BODY_UNREADABLE', 'the gRPC message is compressed');
  const length = view.getUint32(1);
  if (bytes.byteLength < 5 + length)
    refuse('BODY_INCOMPLETE', 'the gRPC message is shorter than its frame says');
  if (bytes.byteLength > 5 + length) refuse('BODY_UNREADABLE', 'more than one gRPC message');
  return bytes.subarray(5);
}

/** Length-delimited fields of the top level by number. */
function readFields(message: Uint8Array): ReadonlyMap<number, readonly Uint8Array[]> {
  const reader = new WireReader(message);
  const fields = new Map<number, Uint8Array[]>();
  for (let count = 0; !reader.isAtEnd; count += 1) {
    if (count === MAX_FIELDS) refuse('BODY_UNREADABLE', `the message has more than ${MAX_FIELDS} fields`);
    const key = reader.varint();
    const wire = key & 7;
    const number = key >>> 3;
    if (number === 0) refuse('BODY_UNREADABLE', 'the message has a field without number');
    if (wire === VARINT) reader.skipVarint();
    else if (wire === FIXED64) reader.take(8);
    else if (wire === FIXED32) reader.take(4);
    else if (wire === BYTES) {
      const bytes = reader.take(reader.varint());
      const known = fields.get(number);
      if (known === undefined || number > ALL_KEPT) fields.set(number, [bytes]);
      else known.push(bytes);
    } else refuse('BODY_UNREADABLE', 'the message has a field of an unknown kind');
  }
  return fields;
}

function textOf(fields: ReadonlyMap<number, readonly Uint8Array[]>, number: number): string {
  const values = fields.get(number) ?? [];
  if (values.length > 1) refuse('MODEL_AMBIGUOUS', 'the message names its model or version twice');
  const [bytes = new Uint8Array()] = values;
  if (!isUtf8(bytes)) refuse('BODY_UNREADABLE', 'the name of the model is not UTF-8');
  return Buffer.from(bytes).toString('utf8');
}

class WireReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.byteLength;
  }

  /** A number below 2^32: a field key or a length. */
  varint(): number {
    let value = 0;
    for (let index = 0; index < 5; index += 1) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) {
        if (value >= 2 ** 32) break;
        return value;
      }
    }
    return refuse('BODY_UNREADABLE', 'the message holds a length that is too large');
  }

  /** Passes over a number of any size, which takes at most ten bytes. */
  skipVarint(): void {
    for (let index = 0; index < 10; index += 1) if (this.#byte() < 0x80) return;
    refuse('BODY_UNREADABLE', 'the message holds a number of more than ten bytes');
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) return refuse('BODY_UNREADABLE', 'the message ends in the middle of a field');
    this.#at += 1;
    return byte;
  }

  take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.byteLength) refuse('BODY_UNREADABLE', 'the message ends in the middle of a field');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
