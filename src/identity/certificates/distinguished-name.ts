/**
 * Names of subjects and issuers as text (RFC 4514). Invariant: two different names never have the same text; a name
 * that cannot be written so has none, and nothing matches it.
 */
import { DerReader, readObjectId, TAG } from './der.ts';

/** Attribute types with a short name (RFC 4514 §3). Others are written as their object identifier, and have no text. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'SERIALNUMBER',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'STREET',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.25': 'DC',
};
const TEXT_TAGS: readonly number[] = [TAG.utf8String, TAG.printableString, TAG.ia5String];

/**
 * `CN=gateway,OU=ml,O=Acme`, the last part of the name first.
 * @param name the DER form. @returns undefined for a name with several attributes in one part, an unknown attribute,
 * an unusual string type, or a character that is not printable ASCII.
 * @throws CertificateError when the bytes are no name.
 */
export function distinguishedName(name: Uint8Array): string | undefined {
  const outer = new DerReader(name);
  const parts = outer.inside(TAG.sequence);
  outer.end();
  const texts: (string | undefined)[] = [];
  while (!parts.isAtEnd) texts.unshift(readPart(parts.inside(TAG.set)));
  return texts.some(text => text === undefined) ? undefined : texts.join(',');
}

function readPart(part: DerReader): string | undefined {
  const attribute = part.inside(TAG.sequence);
  const type = SHORT_NAMES[readObjectId(attribute.next(TAG.objectId).content)];
  const { tag, content } = attribute.next();
  attribute.end();
  if (!part.isAtEnd || type === undefined || !TEXT_TAGS.includes(tag)) return undefined;
  const value = Buffer.from(content).toString('latin1');
  return /^[\x20-\x7e]+$/.test(value) ? `${type}=${escape(value)}` : undefined;
}

/** RFC 4514 §2.4 */
function escape(value: string): string {
  return value
    .replaceAll(/["+,;<>\\]/g, match => `\\${match}`)
    .replace(/^[ #]/, match => `\\${match}`)
    .replace(/ $/, '\\ ');
}
