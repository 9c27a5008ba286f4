/** The 98 inclusion and 98 consistency proofs of transparency-dev/merkle: most of them must be refused. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { consistencyFault, inclusionFault } from '../../src/decision-log/proofs.ts';

const FOLDER = fileURLToPath(new URL('../../../shared/fixtures/merkle/testdata/', import.meta.url));
const PROOFS_OF_A_KIND = 98;

const bytes = z.string().transform(text => Buffer.from(text, 'base64'));
const common = {
  proof: z.array(bytes).nullable(),
  desc: z.string(),
  wantErr: z.boolean(),
};
const inclusionCase = z.strictObject({
  ...common,
  leafIdx: z.number(),
  treeSize: z.number(),
  root: bytes,
  leafHash: bytes,
});
const consistencyCase = z.strictObject({
  ...common,
  size1: z.number(),
  size2: z.number(),
  root1: bytes,
  root2: bytes,
});

const present = existsSync(FOLDER);
if (!present)
  process.stderr.write(`skipped: ${2 * PROOFS_OF_A_KIND} proofs need ../shared/fixtures/merkle\n`);

function casesOf<T>(kind: string, schema: z.ZodType<T>): readonly { name: string; proof: T }[] {
  if (!present) return [];
  const folder = join(FOLDER, kind);
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.json'))
    .sort()
    .map(name => ({ name, proof: schema.parse(JSON.parse(readFileSync(join(folder, name), 'utf8'))) }));
}

describe.skipIf(!present)('of the published inclusion proofs', () => {
  const cases = casesOf('inclusion', inclusionCase);

  test(`all ${PROOFS_OF_A_KIND} are there, some of them valid`, () => {
    expect(cases).toHaveLength(PROOFS_OF_A_KIND);
    expect(cases.filter(({ proof }) => !proof.wantErr).length).toBeGreaterThan(0);
  });

  test.each(cases)(
    '$name is judged right',
    ({ proof: { leafIdx, treeSize, root, leafHash, proof, wantErr } }) => {
      expect(inclusionFault(leafIdx, treeSize, leafHash, proof ?? [], root) !== undefined).toBe(wantErr);
    },
  );
});

describe.skipIf(!present)('of the published consistency proofs', () => {
  const cases = casesOf('consistency', consistencyCase);

  test(`all ${PROOFS_OF_A_KIND} are there, some of them valid`, () => {
    expect(cases).toHaveLength(PROOFS_OF_A_KIND);
    expect(cases.filter(({ proof }) => !proof.wantErr).length).toBeGreaterThan(0);
  });

  test.each(cases)('$name is judged right', ({ proof: { size1, size2, root1, root2, proof, wantErr } }) => {
    expect(consistencyFault(size1, size2, root1, root2, proof ?? []) !== undefined).toBe(wantErr);
  });
});
