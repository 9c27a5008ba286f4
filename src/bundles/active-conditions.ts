/**
 * What a caller says must be active on a layer: `expectedActive`, and If-Match and If-None-Match (RFC 9110 §13.1), whose
 * entity tags are digests of bundles. Invariant: whoever names what must be active changes nothing when it is another bundle.
 */
import { type Digest, digestSchema } from '../domain/bundle.ts';
import { AppError } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';

/** Most entity tags of one header. */
const MAX_TAGS = 32;

/** Parsed conditional headers; `*` stands for "whatever is active". */
export interface ActiveConditions {
  readonly ifMatch?: '*' | readonly Digest[];
  readonly ifNoneMatch?: '*' | readonly Digest[];
}

/** The strong entity tag that stands for a bundle. */
export function bundleTag(digest: Digest): string {
  return `"${digest}"`;
}

/** Parses the value of a conditional header. @throws AppError INVALID_REQUEST */
export function parseBundleTags(header: string, name: string): '*' | readonly Digest[] {
  const text = header.trim();
  if (text === '*') return '*';
  const parts = text.split(',', MAX_TAGS + 1);
  const digests = parts.flatMap(part => {
    const digest = digestSchema.safeParse(/^"(.*)"$/.exec(part.trim())?.[1]);
    return digest.success ? [digest.data] : [];
  });
  if (parts.length <= MAX_TAGS && digests.length === parts.length) return digests;
  throw new AppError('INVALID_REQUEST', `the header \`${name}\` is not a list of digests`, {
    problems: [
      {
        message: `\`${name}\` must be \`*\` or digests in double quotes, such as \`"sha256:…"\``,
        hint: 'name the bundle that must be active now, as the `ETag` of its activation did',
      },
    ],
  });
}

/** @param active what is active on the layer; null: nothing. @throws AppError PRECONDITION_FAILED */
export function requireActive(
  layer: LayerName,
  active: Digest | null,
  { ifMatch, ifNoneMatch }: ActiveConditions,
): void {
  if (ifMatch !== undefined && !selects(ifMatch, active)) throw conditionFailed(layer, active, 'If-Match');
  if (ifNoneMatch !== undefined && selects(ifNoneMatch, active)) {
    throw conditionFailed(layer, active, 'If-None-Match');
  }
}

/** Whether the bundle that a request waits for is the active one, as far as it says. */
export function isAsExpected(
  active: Digest | null,
  {
    expectedActive,
    ifMatch,
    ifNoneMatch,
  }: ActiveConditions & { readonly expectedActive?: Digest | null | undefined },
): boolean {
  if (expectedActive !== undefined && expectedActive !== active) return false;
  if (ifMatch !== undefined && !selects(ifMatch, active)) return false;
  return ifNoneMatch === undefined || !selects(ifNoneMatch, active);
}

function selects(tags: '*' | readonly Digest[], active: Digest | null): boolean {
  if (active === null) return false;
  return tags === '*' || tags.includes(active);
}

function conditionFailed(layer: LayerName, active: Digest | null, header: string): AppError {
  const detail =
    active === null
      ? `no bundle is active on layer \`${layer}\``
      : `bundle \`${active}\` is active on layer \`${layer}\` now: read it, then activate again`;
  const hint = 'it names the bundle that is active before the change, and not the one to activate';
  const message = `\`${header}\` does not hold for what is active on layer \`${layer}\``;
  return new AppError('PRECONDITION_FAILED', detail, { problems: [{ message, hint }] });
}
