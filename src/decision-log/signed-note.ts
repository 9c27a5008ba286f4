/**
 * Signed notes after c2sp.org/signed-note with Ed25519 signatures: a text, and lines that sign it. Invariant: a
 * note has one spelling only, whatever deviates is refused, and a text is given out as signed only when a key that
 * the caller named has signed exactly its bytes.
 */
import { type KeyObject, createPrivateKey, createPublicKey, hash, sign, verify } from 'node:crypto';
import { AppError } from '../domain/errors.ts';

/** Signature types of the signed-note specification: a plain Ed25519 signature, and a witness's cosignature. */
export const ED25519 = 0x01;
export const COSIGNATURE = 0x04;

/** Bytes of an Ed25519 public key, of a private seed, and of a signature. */
export const ED25519_KEY_BYTES = 32;
export const ED25519_SIGNATURE_BYTES = 64;

/** Longest note in bytes: room for the 16 signatures of 5 kB that the specification wants accepted. */
export const MAX_NOTE_BYTES = 131_072;
/** Most signature lines that are looked at. */
export const MAX_SIGNATURES = 100;

const MARK = '\u2014 ';
const SKEY_PREFIX = 'PRIVATE+KEY+';
const KEY_ID_BYTES = 4;
/** PKCS #8 header of an Ed25519 private key (RFC 8410 §7); the seed follows. */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
/** SPKI header of an Ed25519 public key (RFC 8410 §4); the key follows. */
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');

/** One signature line. */
export interface NoteSignature {
  readonly name: string;
  /** 8 hex digits: which key of that name. */
  readonly keyId: string;
  /** What follows the key id, as its algorithm defines it. */
  readonly signature: Uint8Array;
}

/** A note taken apart; nothing of it is verified yet. */
export interface ParsedNote {
  /** Ends with a newline; what is signed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** What tells whether a signature is by one key. */
export interface NoteVerifier {
  readonly name: string;
  readonly keyId: string;
  verify(text: string, signature: Uint8Array): boolean;
}

/** What signs by one key. */
export interface NoteSigner {
  readonly name: string;
  readonly keyId: string;
  sign(text: string): Uint8Array;
}

/** A verifier key as it is written: `name+keyid+base64(type ‖ key)`. */
export interface VerifierKey {
  readonly name: string;
  readonly keyId: string;
  /** ED25519 or COSIGNATURE. */
  readonly type: number;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** Signs notes as the log. */
export interface Ed25519Signer extends NoteSigner {
  /** The verifier key that goes with it. */
  readonly verifierKey: string;
}

/**
 * Takes a note apart.
 * @throws AppError INVALID_REQUEST when it is longer than MAX_NOTE_BYTES, not UTF-8, has a control character, no
 * signature, or a malformed one
 */
export function parseNote(note: string | Uint8Array): ParsedNote {
  const whole = wellFormed(note);
  const end = whole.lastIndexOf('\n\n');
  if (end < 0 || !whole.endsWith('\n')) throw malformed('no blank line between its text and its signatures');
  const text = whole.slice(0, end + 1);
  const lines = whole.slice(end + 2).split('\n');
  lines.pop();
  if (lines.length === 0) throw malformed('it has no signature');
  if (lines.length > MAX_SIGNATURES) throw malformed(`it has more than ${MAX_SIGNATURES} signatures`);
  return { text, signatures: lines.map(parseSignature) };
}

/** Puts a note together. @throws AppError INVALID_REQUEST when the text cannot be that of a note */
export function formatNote({ text, signatures }: ParsedNote): string {
  if (!text.endsWith('\n')) throw malformed('its text does not end with a newline');
  wellFormed(text);
  if (signatures.length === 0) throw malformed('it has no signature');
  const lines = signatures.map(({ name, keyId, signature }) => {
    const encoded = Buffer.concat([Buffer.from(keyId, 'hex'), signature]).toString('base64');
    return `${MARK}${name} ${encoded}\n`;
  });
  return `${text}\n${lines.join('')}`;
}

/** A note of a text, signed. @throws as `formatNote` */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  return formatNote({
    text,
    signatures: signers.map(signer => ({
      name: signer.name,
      keyId: signer.keyId,
      signature: signer.sign(text),
    })),
  });
}

/**
 * The signatures of a note that are by the given keys; lines of other keys are passed over, as the specification
 * asks. Empty when no known key signed.
 * @throws AppError INVALID_REQUEST when a line names a given key and its signature is wrong
 */
export function verifiedSignatures(
  note: ParsedNote,
  verifiers: readonly NoteVerifier[],
): readonly NoteSignature[] {
  const verified: NoteSignature[] = [];
  for (const line of note.signatures) {
    const verifier = verifiers.find(({ name, keyId }) => name === line.name && keyId === line.keyId);
    if (verifier === undefined) continue;
    if (!verifier.verify(note.text, line.signature)) {
      throw new AppError('INVALID_REQUEST', `the signature of \`${line.name}\` is not over this text`);
    }
    if (!verified.some(({ name, keyId }) => name === line.name && keyId === line.keyId)) verified.push(line);
  }
  return verified;
}

/**
 * The text of a note that one of the given keys has signed.
 * @throws AppError INVALID_REQUEST when the note is malformed, a signature is wrong, or none is by these keys
 */
export function openNote(note: string | Uint8Array, verifiers: readonly NoteVerifier[]): ParsedNote {
  const parsed = parseNote(note);
  const signatures = verifiedSignatures(parsed, verifiers);
  if (signatures.length === 0) {
    const names = verifiers.map(({ name, keyId }) => `\`${name}+${keyId}\``).join(', ');
    throw new AppError('INVALID_REQUEST', `the note is not signed by ${names || 'any key: none was given'}`);
  }
  return { text: parsed.text, signatures };
}

/** First four bytes of SHA-256(name ‖ newline ‖ type ‖ key), 8 hex digits. */
export function keyIdOf(name: string, type: number, publicKey: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(type), publicKey]), 'hex').slice(
    0,
    2 * KEY_ID_BYTES,
  );
}

/** `name+keyid+base64(type ‖ key)`. @throws AppError INVALID_REQUEST when the name cannot be one */
export function formatVerifierKey(name: string, type: number, publicKey: Uint8Array): string {
  checkName(name);
  const encoded = Buffer.concat([Buffer.of(type), publicKey]).toString('base64');
  return `${name}+${keyIdOf(name, type, publicKey)}+${encoded}`;
}

/**
 * Reads a verifier key, of a log or of a witness.
 * @throws AppError INVALID_REQUEST when it is malformed, its id is not that of its key, or its type is unknown
 */
export function parseVerifierKey(vkey: string): VerifierKey {
  const { name, keyId, type, key } = splitKey(vkey.trim(), 'verifier key', [ED25519, COSIGNATURE]);
  if (keyIdOf(name, type, key) !== keyId) throw badKey('verifier key', 'its id is not that of its key');
  return { name, keyId, type, publicKey: key };
}

/** The verifier of a log's key. @throws AppError INVALID_REQUEST as `parseVerifierKey`, and for other types */
export function ed25519Verifier(vkey: string): NoteVerifier {
  const { name, keyId, type, publicKey } = parseVerifierKey(vkey);
  if (type !== ED25519) throw badKey('verifier key', `its type is ${type}: that of a witness, not of a log`);
  const key = importPublicKey(publicKey);
  return { name, keyId, verify: (text, signature) => verifyEd25519(Buffer.from(text), key, signature) };
}

/** The signing key of a name, as text to keep in a file. @param seed 32 random bytes */
export function formatSignerKey(name: string, seed: Uint8Array): string {
  checkName(name);
  const publicKey = publicKeyOf(importSeed(seed));
  const encoded = Buffer.concat([Buffer.of(ED25519), seed]).toString('base64');
  return `${SKEY_PREFIX}${name}+${keyIdOf(name, ED25519, publicKey)}+${encoded}`;
}

/** What signs with a signing key. @throws AppError INVALID_REQUEST when it is malformed; it never quotes the key */
export function ed25519Signer(skey: string): Ed25519Signer {
  const text = skey.trim();
  if (!text.startsWith(SKEY_PREFIX)) throw badKey('signing key', `it does not start with ${SKEY_PREFIX}`);
  const { name, keyId, type, key } = splitKey(text.slice(SKEY_PREFIX.length), 'signing key', [ED25519]);
  const privateKey = importSeed(key);
  const publicKey = publicKeyOf(privateKey);
  if (keyIdOf(name, type, publicKey) !== keyId) throw badKey('signing key', 'its id is not that of its key');
  return {
    name,
    keyId,
    verifierKey: formatVerifierKey(name, ED25519, publicKey),
    sign: message => sign(null, Buffer.from(message), privateKey),
  };
}

/** A private key from its 32-byte seed. */
export function importSeed(seed: Uint8Array): KeyObject {
  if (seed.length !== ED25519_KEY_BYTES) throw badKey('signing key', 'its seed does not have 32 bytes');
  return createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' });
}

/** A public key from its 32 bytes. */
export function importPublicKey(publicKey: Uint8Array): KeyObject {
  if (publicKey.length !== ED25519_KEY_BYTES) throw badKey('verifier key', 'its key does not have 32 bytes');
  return createPublicKey({ key: Buffer.concat([SPKI_ED25519, publicKey]), format: 'der', type: 'spki' });
}

/** The 32 bytes of the public key of a private one. */
export function publicKeyOf(privateKey: KeyObject): Uint8Array {
  return createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI_ED25519.length);
}

/** Signatures of other lengths are wrong, not an error. */
export function verifyEd25519(message: Uint8Array, key: KeyObject, signature: Uint8Array): boolean {
  return signature.length === ED25519_SIGNATURE_BYTES && verify(null, message, key, signature);
}

/** The bytes of canonical standard base64; undefined when it is not that. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  // Buffer skips what it does not know: only what encodes back to itself was the one spelling of these bytes
  return bytes.toString('base64') === text ? bytes : undefined;
}

function parseSignature(line: string): NoteSignature {
  if (!line.startsWith(MARK)) throw malformed('a signature line does not start with an em dash and a space');
  const [name = '', encoded = '', ...more] = line.slice(MARK.length).split(' ');
  const bytes = decodeBase64(encoded);
  if (more.length > 0 || !isKeyName(name) || bytes === undefined || bytes.length <= KEY_ID_BYTES) {
    throw malformed('a signature line is not a name and a signature in base64');
  }
  return {
    name,
    keyId: Buffer.from(bytes.subarray(0, KEY_ID_BYTES)).toString('hex'),
    signature: bytes.subarray(KEY_ID_BYTES),
  };
}

/** Valid UTF-8, short enough, and no control character but newlines. */
function wellFormed(note: string | Uint8Array): string {
  const length = typeof note === 'string' ? Buffer.byteLength(note) : note.length;
  if (length > MAX_NOTE_BYTES) throw malformed(`it is longer than ${MAX_NOTE_BYTES} bytes`);
  const text = typeof note === 'string' ? note : decodeUtf8(note);
  if (!text.isWellFormed()) throw malformed('it is not valid Unicode');
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x20 && unit !== 0x0a) throw malformed('it has a control character');
  }
  return text;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new AppError('INVALID_REQUEST', 'the note is malformed: it is not UTF-8', { cause: error });
  }
}

function splitKey(
  text: string,
  what: string,
  types: readonly number[],
): { name: string; keyId: string; type: number; key: Uint8Array } {
  const [name = '', keyId = '', ...rest] = text.split('+');
  // base64 has `+` in it too, names and ids have none
  const bytes = decodeBase64(rest.join('+'));
  const [type] = bytes ?? [];
  if (!isKeyName(name) || !/^[0-9a-f]{8}$/.test(keyId) || bytes === undefined || type === undefined) {
    throw badKey(what, 'it is not a name, an id of 8 hex digits and a key in base64, joined by `+`');
  }
  if (!types.includes(type)) throw badKey(what, `its type is ${type}; known here: ${types.join(', ')}`);
  const key = bytes.subarray(1);
  if (key.length !== ED25519_KEY_BYTES) throw badKey(what, `its key has ${key.length} bytes instead of 32`);
  return { name, keyId, type, key };
}

/** Whether it can name a key: not empty, well-formed, without space or plus. */
export function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !/[\s+\u0085\p{Cc}]/u.test(name);
}

function checkName(name: string): void {
  if (!isKeyName(name)) throw badKey('name of a key', `\`${name}\` is empty, or has a space or a plus`);
}

function malformed(why: string): AppError {
  return new AppError('INVALID_REQUEST', `the note is malformed: ${why}`);
}

function badKey(what: string, why: string): AppError {
  return new AppError('INVALID_REQUEST', `the ${what} is malformed: ${why}`);
}
