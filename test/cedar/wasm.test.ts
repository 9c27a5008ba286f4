/** The gateway to cedar-wasm: it never throws, and survives what makes cedar-wasm trap. */
import { describe, expect, it } from 'vitest';
import { CedarWasm } from '../../src/cedar/wasm.ts';

const POLICY = 'permit(principal, action, resource);';
const HOSTILE = `permit(principal, action, resource) when { ${'('.repeat(2_000)}true${')'.repeat(2_000)} };`;

describe('cedar-wasm', () => {
  it('names its versions', () => {
    expect(new CedarWasm().versions).toEqual({ sdk: '4.13.0', language: '4.5' });
  });

  it('is replaced after a trap, and answers as before', () => {
    const wasm = new CedarWasm();
    const before = wasm.parsePolicy(POLICY);
    const hostile = wasm.registerPolicySet('set', { policies: { hostile: HOSTILE } });
    expect(hostile).toMatchObject({ ok: false, trapped: true });
    expect(wasm.traps).toBe(1);
    expect(wasm.parsePolicy(POLICY)).toEqual(before);
  });

  it('forgets in a trap what was registered, and says so by the count of traps', () => {
    const wasm = new CedarWasm();
    expect(wasm.registerPolicySet('set', { policies: { p: POLICY } }).ok).toBe(true);
    wasm.registerPolicySet('other', { policies: { hostile: HOSTILE } });
    const uid = { type: 'A', id: 'a' };
    const answer = wasm.authorize({
      principal: uid,
      action: uid,
      resource: uid,
      context: {},
      entities: [],
      policySet: 'set',
      schema: 'none',
      validateRequest: true,
    });
    expect(answer.ok).toBe(false);
    expect(wasm.traps).toBe(1);
  });

  it('refuses hostile text without a trap, at its place', () => {
    const wasm = new CedarWasm();
    const answer = wasm.parsePolicy(`// é\n${HOSTILE}`);
    expect(answer).toMatchObject({ ok: false, trapped: false });
    expect(!answer.ok && answer.messages[0]?.start).toBe(5 + 1 + HOSTILE.indexOf('((') + 31);
    expect(wasm.traps).toBe(0);
  });

  it('gives instances that share nothing', () => {
    const [one, other] = [new CedarWasm(), new CedarWasm()];
    one.registerPolicySet('other', { policies: { hostile: HOSTILE } });
    expect([one.traps, other.traps]).toEqual([1, 0]);
    expect(other.parsePolicy(POLICY).ok).toBe(true);
  });

  it.each([
    ['a schema that does not parse', (wasm: CedarWasm) => wasm.parseSchema('entity ;')],
    [
      'a template where a policy is due',
      (wasm: CedarWasm) => wasm.parsePolicy('permit(principal == ?principal, action, resource);'),
    ],
    ['a policy where a template is due', (wasm: CedarWasm) => wasm.parseTemplate(POLICY)],
    ['two policies where one is due', (wasm: CedarWasm) => wasm.parsePolicy(POLICY + POLICY)],
    ['an EST of nonsense', (wasm: CedarWasm) => wasm.printPolicy({ effect: 'maybe' })],
  ])('answers %s with a message', (_, ask) => {
    const answer = ask(new CedarWasm());
    expect(answer).toMatchObject({ ok: false, trapped: false });
    expect(!answer.ok && answer.messages.length).toBeGreaterThan(0);
  });
});
