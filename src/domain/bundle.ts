/**
 * Bundles: immutable sets of policies (and, on the platform layer, the schema) with a content digest.
 * Invariant: two bundles with the same layer, version, description and files have the same digest.
 */
import { z } from 'zod';
import type { Problem } from './errors.ts';
import { type LayerName, layerNameSchema } from './ids.ts';
import { keylessText } from './keyless-text.ts';

/** Longest version and description, in characters. */
const MAX_VERSION = 128;
const MAX_DESCRIPTION = 1024;

/** A manifest as it is stored; one that an earlier version took may have any text. */
export const manifestSchema = z
  .strictObject({
    layer: layerNameSchema,
    version: z.string().min(1).max(MAX_VERSION),
    description: z.string().max(MAX_DESCRIPTION).default(''),
  })
  .meta({ id: 'BundleManifest' });

/** A manifest as it is taken: its version is logged with each activation. */
export const pushedManifestSchema = manifestSchema.extend({
  version: keylessText(MAX_VERSION).min(1),
  description: keylessText(MAX_DESCRIPTION).default(''),
});
export type BundleManifest = z.infer<typeof manifestSchema>;

/** `sha256:<64 hex>` */
export type Digest = `sha256:${string}`;
export const digestSchema = z
  .string()
  .refine((text): text is Digest => /^sha256:[0-9a-f]{64}$/.test(text), 'must be `sha256:` and 64 hex digits')
  .meta({ id: 'Digest' });

/** What was found at push. `problems` is empty for a stored bundle. */
export interface BundleReport {
  readonly policies: number;
  readonly tests: { readonly passed: number; readonly failed: number };
  readonly warnings: readonly Problem[];
  /** Digest of the schema by which the policies were type-checked. */
  readonly schema?: string;
}

/** A bundle as it is stored. `files` excludes manifest.json; `archive` is what GET …/archive answers. */
export interface StoredBundle {
  readonly digest: Digest;
  readonly manifest: BundleManifest;
  readonly files: Readonly<Record<string, string>>;
  readonly archive: Uint8Array;
  readonly report: BundleReport;
  readonly pushedBy: string;
  readonly pushedAt: string;
}

/** A bundle without its contents, for lists. */
export type BundleSummary = Omit<StoredBundle, 'files' | 'archive'>;

/** One activation of a layer; rollback is an activation too. */
export interface Activation {
  readonly layer: LayerName;
  readonly sequence: number;
  readonly digest: Digest;
  readonly previous: Digest | null;
  readonly actor: string;
  readonly reason: string;
  readonly kind: 'activate' | 'rollback';
  readonly at: string;
}

/** What an activation answers. `warnings`: what active layers rely on and is not there any more. */
export interface ActivationResult extends Activation {
  readonly warnings: readonly Problem[];
}
