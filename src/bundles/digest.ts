/**
 * The content digest of a bundle. Invariant: two bundles have the same digest exactly when their manifests
 * (after defaults) and their files are equal; how they were packed does not matter.
 */
import { createHash } from 'node:crypto';
import type { BundleManifest, Digest } from '../domain/bundle.ts';

/** Separates these digests from every other use of SHA-256 and names the encoding. */
const DOMAIN = 'duramen.bundle.v1';

/**
 * SHA-256 over length-prefixed fields: domain, layer, version, description, number of files, then path and
 * text of each file in the order of the paths' bytes. Prefixes make the encoding injective.
 * @param files without manifest.json
 */
export function bundleDigest(manifest: BundleManifest, files: Readonly<Record<string, string>>): Digest {
  const hash = createHash('sha256');
  const field = (text: string): void => {
    const bytes = Buffer.from(text, 'utf8');
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64BE(BigInt(bytes.length));
    hash.update(prefix).update(bytes);
  };
  field(DOMAIN);
  field(manifest.layer);
  field(manifest.version);
  field(manifest.description);
  const paths = sortedPaths(files);
  field(String(paths.length));
  for (const path of paths) {
    field(path);
    field(files[path] ?? '');
  }
  return `sha256:${hash.digest('hex')}`;
}

/** Paths in the order of their UTF-8 bytes. */
export function sortedPaths(files: Readonly<Record<string, string>>): string[] {
  return Object.keys(files).sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
}
