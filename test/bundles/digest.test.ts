/** The content digest: equal for equal content however it is packed, different for different content. */
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openBundle } from '../../src/bundles/archive.ts';
import { bundleDigest } from '../../src/bundles/digest.ts';
import type { BundleManifest } from '../../src/domain/bundle.ts';
import { tarGz } from './tar-builder.ts';

const SHIPPED = 'the shipped schema';
const manifests = fc.record<BundleManifest>({
  layer: fc.constantFrom<BundleManifest['layer']>('platform', 'tenant:acme', 'tenant:ac'),
  version: fc.string({ minLength: 1, maxLength: 3 }),
  description: fc.string({ maxLength: 3 }),
});
const path = fc.stringMatching(/^policies\/[ab]{1,3}\.cedar$/);
const files = fc
  .uniqueArray(fc.tuple(path, fc.string({ unit: 'grapheme', maxLength: 4 })), {
    selector: ([name]) => name,
    maxLength: 4,
  })
  .map(entries => Object.fromEntries(entries));

describe('bundleDigest', () => {
  test('is the documented encoding: SHA-256 over fields with 8-byte big-endian lengths', () => {
    const fields = ['duramen.bundle.v1', 'platform', '1', '', '1', 'policies/é.cedar', 'ü'];
    const bytes = fields.flatMap(field => {
      const text = Buffer.from(field);
      const length = Buffer.alloc(8);
      length.writeUInt32BE(text.length, 4);
      return [length, text];
    });
    const expected = createHash('sha256').update(Buffer.concat(bytes)).digest('hex');
    const manifest = { layer: 'platform', version: '1', description: '' } as const;
    expect(bundleDigest(manifest, { 'policies/é.cedar': 'ü' })).toBe(`sha256:${expected}`);
  });

  test('is equal exactly when manifest and files are equal', () => {
    const bundle = fc.record({ manifest: manifests, files });
    fc.assert(
      fc.property(bundle, bundle, (one, other) => {
        const same = canonical(one) === canonical(other);
        expect(bundleDigest(one.manifest, one.files) === bundleDigest(other.manifest, other.files)).toBe(
          same,
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test('does not let text move between neighbouring fields', () => {
    const digests = [
      bundleDigest({ layer: 'platform', version: 'ab', description: 'c' }, {}),
      bundleDigest({ layer: 'platform', version: 'a', description: 'bc' }, {}),
      bundleDigest({ layer: 'platform', version: 'a', description: 'b' }, { c: '' }),
      bundleDigest({ layer: 'platform', version: 'a', description: 'b' }, { '': 'c' }),
      bundleDigest({ layer: 'platform', version: 'a', description: '' }, { b: 'c' }),
    ];
    expect(new Set(digests).size).toBe(digests.length);
  });

  test('does not depend on the order of files, nor on tar metadata, nor on the form', async () => {
    await fc.assert(
      fc.asyncProperty(
        files,
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.array(fc.nat(), { minLength: 5, maxLength: 5 }),
        async (content, mtime, keys) => {
          const manifest = { layer: 'tenant:acme', version: '1', description: 'd' } as const;
          const items = [
            {
              name: './manifest.json',
              data: JSON.stringify({ description: 'd', version: '1', layer: 'tenant:acme' }),
              mtime,
            },
            ...Object.entries(content).map(([name, data]) => ({ name, data, mtime, uid: mtime % 4096 })),
          ]
            .map((item, position) => ({ item, key: keys[position] ?? 0 }))
            .toSorted((left, right) => left.key - right.key)
            .map(({ item }) => item);
          const fromTar = await openBundle('tar', tarGz(items), SHIPPED);
          const fromJson = await openBundle(
            'json',
            Buffer.from(JSON.stringify({ manifest, files: content })),
            SHIPPED,
          );
          const reversed = Object.fromEntries(Object.entries(content).toReversed());
          expect(fromTar.digest).toBe(bundleDigest(manifest, content));
          expect(fromJson.digest).toBe(fromTar.digest);
          expect(bundleDigest(manifest, reversed)).toBe(fromTar.digest);
        },
      ),
      { numRuns: 100 },
    );
  });
});

function canonical(bundle: { manifest: BundleManifest; files: Record<string, string> }): string {
  const { layer, version, description } = bundle.manifest;
  return JSON.stringify([
    layer,
    version,
    description,
    Object.entries(bundle.files).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  ]);
}
