/**
 * In place of src/decision-log/subject-registry.ts in a service without evidence: leaves name principals by their ids,
 * hold the hash of an input as it came, and show every value of the context.
 */
import type { InputDigest, InputReference } from '../../src/decision-log/leaf-privacy.ts';
import { entityId } from '../../src/decision-log/subject-name.ts';
import * as real from '../../src/decision-log/subject-registry.ts';

const NOTHING: ReadonlySet<string> = new Set();

export class SubjectRegistry extends real.SubjectRegistry {
  override get personalKeys(): ReadonlySet<string> {
    return NOTHING;
  }

  /** Nobody has a pseudonym. */
  override subject(): undefined {
    return undefined;
  }

  override unregistered(entity: string): string {
    return entityId(entity);
  }

  override inputDigest({ hash }: InputReference): InputDigest {
    return { kid: '', mac: hash };
  }

  override outputDigest(output: InputReference): InputDigest {
    return this.inputDigest(output);
  }
}
