/** Request targets with two readings are refused; every honest one passes. */
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { targetProblem } from '../../../src/edge/http/target.ts';

test.each([
  ['/'],
  ['/v1/models/acme%2Fsupport-llm'],
  ['/v1/models/acme%2F..%2Fx'],
  ['/v1/layers/tenant:acme/history?limit=3'],
  ['/v1/bundles/sha256:00/archive'],
  ['/readyz?verbose'],
  ["/a!$&'()*+,;=@~b"],
  ['/v1/models/m%C3%BCller'],
])('%s passes', target => {
  expect(targetProblem(target)).toBeUndefined();
});

describe('refusals', () => {
  test.each([
    ['', /not a path/],
    ['v1/models', /not a path/],
    ['http://x/v1', /not a path/],
    ['*', /not a path/],
    ['//evil/../x', /dot segment/],
    ['/a/../b', /dot segment/],
    ['/a/.', /dot segment/],
    ['/a/%2e%2e/b', /dot segment/],
    ['/a/.%2E', /dot segment/],
    ['/a\\b', /not a path/],
    ['/a b', /not a path/],
    ['/a%', /not a path/],
    ['/a%zz', /not a path/],
    ['/a#b', /not a path/],
    ['/a?b=\u00fc', /not a path/],
    ['/%ff', /not as UTF-8/],
    ['/%c0%af', /not as UTF-8/],
    [`/${'a'.repeat(9000)}`, /longer than/],
  ])('%j', (target, says) => {
    expect(targetProblem(target)).toMatch(says);
  });

  test('take linear time', () => {
    for (const unit of ['/', '/%2e', '/.', '%', '/a?'])
      expect(targetProblem(`/${unit.repeat(100_000)}`)).toBeDefined();
  });
});

test('every id, percent-encoded, passes unless it is a dot segment, and decodes to itself', () => {
  const id = fc.stringMatching(/^[\x21\x23-\x5b\x5d-\x7e]{1,64}$/);
  fc.assert(
    fc.property(id, text => {
      fc.pre(text !== '.' && text !== '..');
      const encoded = encodeURIComponent(text);
      expect(targetProblem(`/v1/models/${encoded}`)).toBeUndefined();
      expect(decodeURIComponent(encoded)).toBe(text);
    }),
  );
});
