/** How the tables of hostile tokens make their rows, over the scene of the test at hand. */
import { causeOf, type Scene } from './authentication-scene.ts';
import { expect, test } from 'vitest';
import { encode, signTexts, signToken } from './test-issuer.ts';

type Make = () => Promise<string> | string;
/** What is wrong, the cause that is logged, and the token. */
export type Row = readonly [name: string, cause: string, make: Make];

export const HEADER = '{"alg":"ES256","typ":"at+jwt","kid":"k1"}';

/** What rows are made of: a key of an issuer and what it would say. */
export type RowScene = Pick<Scene, 'key' | 'claims' | 'issuer' | 'clock'>;

export function makers(scene: () => RowScene) {
  const claimsText = () => JSON.stringify(scene().claims());
  return {
    now: () => Math.floor(scene().clock.now() / 1000),
    claimsText,
    good: () => signToken(scene().key, scene().claims()),
    withClaims: (change: Record<string, unknown>) => () => signToken(scene().key, scene().claims(change)),
    withHeader: (change: Record<string, unknown>) => () => signToken(scene().key, scene().claims(), change),
    texts: (header: () => string, claims: () => string) => () => signTexts(scene().key, header(), claims()),
    unsigned: (alg: unknown) => () =>
      `${encode(JSON.stringify({ alg, typ: 'at+jwt', kid: 'k1' }))}.${encode(claimsText())}.AA`,
  };
}

/** Actors within actors. */
export function nested(depth: number): Record<string, unknown> {
  let act: Record<string, unknown> = { sub: 'a' };
  for (let at = 1; at < depth; at += 1) act = { sub: 'a', act };
  return act;
}

/** One test for each row: refused, for its cause, in the words that all of them share. */
export function testRows(scene: () => Scene, rows: readonly Row[]): void {
  test.each(rows)('%s is refused: %s', async (_name, cause, make) => {
    const outcome = await scene().authenticate(await make());
    expect(causeOf(outcome)).toBe(cause);
    expect(outcome.refusal?.message).toBe('the credential of the caller is not accepted');
  });
}
