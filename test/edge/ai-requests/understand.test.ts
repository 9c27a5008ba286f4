/** Real-shaped requests of every dialect, and what each asks. */
import { describe, expect, test } from 'vitest';
import { DIALECT_FAMILIES } from '../../../src/domain/pep-profile.ts';
import { makeRows } from '../../../src/edge/ai-requests/dialect-families.ts';
import { lineOf, readerFor, requestOf, type Sample, type SampleExtras } from './sample.ts';
import { SAMPLES } from './samples/all.ts';

function read(family: (typeof SAMPLES)[number]['dialects'], [line, body, , extras = {}]: Sample) {
  return readerFor(family).read(requestOf(line, body, extras.headers), extras.bound);
}

describe.each(SAMPLES)('$name', ({ dialects, samples }) => {
  test.each(samples.map(sample => [titleOf(sample), sample] as const))('%s', (_, sample) => {
    const understanding = read(dialects, sample);
    expect(lineOf(understanding)).toBe(sample[2]);
    expect(understanding).toMatchObject({ understood: true, request: expected(sample[3]) });
    // reading is a function of the request
    expect(read(dialects, sample)).toEqual(understanding);
  });
});

function titleOf([line, body]: Sample): string {
  const text = body instanceof Uint8Array ? '' : JSON.stringify(body ?? '');
  return `${line} ${text.slice(0, 90)}`;
}

function expected({ classes, tools, stream, max }: SampleExtras = {}) {
  return {
    tokenEstimate: { isEstimate: true },
    ...(classes === undefined ? {} : { inputClasses: classes }),
    ...(tools === undefined ? {} : { tools: tools.map(toolOf) }),
    ...(stream === undefined ? {} : { stream }),
    params: {
      ...(stream === undefined ? {} : { stream }),
      ...(max === undefined ? {} : { maxOutputTokens: max }),
    },
  };
}

/** `kind:name` */
function toolOf(text: string): { kind: string; name: string } {
  const colon = text.indexOf(':');
  return { kind: text.slice(0, colon), name: text.slice(colon + 1) };
}

test('every row of the table has a request', () => {
  const seen = new Set(
    SAMPLES.flatMap(({ samples }) => samples.map(([, , meaning]) => meaning.split(' ', 1)[0])),
  );
  const rows = DIALECT_FAMILIES.flatMap(family => makeRows(family)).filter(
    ({ hides }) => hides === undefined,
  );
  expect(rows.map(({ dialect }) => dialect).filter(dialect => !seen.has(dialect))).toEqual([]);
});

test('the table has at least 300 requests and leaves out no family', () => {
  expect(SAMPLES.flatMap(({ samples }) => samples).length).toBeGreaterThanOrEqual(300);
  expect(
    DIALECT_FAMILIES.filter(family => !SAMPLES.some(({ dialects }) => dialects.includes(family))),
  ).toEqual([]);
});

describe('the estimate of tokens', () => {
  const reader = readerFor(['openai']);
  const estimate = (content: unknown) => {
    const body = { model: 'm', messages: [{ role: 'user', content }] };
    const understanding = reader.read(requestOf('POST /v1/chat/completions', body));
    return understanding.understood ? understanding.request.tokenEstimate.tokens : -1;
  };

  test('is a third of the bytes of text', () => {
    const bytes = (text: string) =>
      JSON.stringify({ model: 'm', messages: [{ role: 'user', content: text }] }).length;
    expect(estimate('x'.repeat(3000))).toBe(Math.ceil(bytes('x'.repeat(3000)) / 3));
  });

  test('takes an image for an image, not for its base64', () => {
    const url = `data:image/png;base64,${'A'.repeat(90_000)}`;
    const tokens = estimate([{ type: 'image_url', image_url: { url } }]);
    expect(tokens).toBeGreaterThanOrEqual(1600);
    expect(tokens).toBeLessThan(1700);
  });
});
