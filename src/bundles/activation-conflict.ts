/** The failure of a compare-and-swap activation, worded once for every store. */
import { AppError } from '../domain/errors.ts';
import type { LayerName } from '../domain/ids.ts';

/** @param active what is active instead of what the caller expected */
export function activationConflict(layer: LayerName, active: string | null): AppError {
  return new AppError(
    'ACTIVATION_CONFLICT',
    active === null
      ? `no bundle is active on layer \`${layer}\``
      : `bundle \`${active}\` is active on layer \`${layer}\` now: read it, then activate again`,
  );
}
