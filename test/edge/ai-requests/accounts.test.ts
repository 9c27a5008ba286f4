/** Who pays for a call, and where it runs for it, is not for clients to choose, unless the profile says so. */
import { describe, expect, test } from 'vitest';
import type { DialectFamily } from '../../../src/domain/pep-profile.ts';
import { lineOf, readerFor, requestOf } from './sample.ts';

const CHAT = 'POST /v1/chat/completions';
const MESSAGES = 'POST /v1/messages';
const GEMINI = 'POST /v1beta/models/m:generateContent';
const OK = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };
type Headers = Readonly<Record<string, string>>;

describe('who pays for a call is not for clients to choose', () => {
  // biome-ignore format: one request a line
  const CHOICES: [DialectFamily, string, unknown, Headers?][] = [
    ['openai', CHAT, OK, { 'OpenAI-Organization': 'org-1' }],
    ['openai', CHAT, OK, { 'openai-project': 'p' }],
    ['openai', CHAT, OK, { openai_project: 'p' }],
    ['openai', CHAT, OK, { 'x-hf-bill-to': 'acme' }],
    ['openai', CHAT, OK, { 'x-litellm-tags': 'paid' }],
    ['gemini', GEMINI, { contents: [] }, { 'X-Goog-User-Project': 'p' }],
    ['gemini', `${GEMINI}?$userProject=p`, { contents: [] }],
    ['gemini', `${GEMINI}?userProject=p`, { contents: [] }],
    ['anthropic', MESSAGES, { ...OK, inference_geo: 'us' }],
    ['anthropic', MESSAGES, { ...OK, inferenceGeo: 'us' }],
    ['anthropic', 'POST /v1/messages/batches', { requests: [{ params: { ...OK, inference_geo: 'us' } }] }],
    ['openai', 'POST /mcp', { jsonrpc: '2.0', id: 1, method: 'ping' }, { 'openai-project': 'p' }],
  ];
  test.each(CHOICES)('%s %s', (family, line, body, headers) => {
    const request = requestOf(line, body, headers);
    expect(lineOf(readerFor([family]).read(request))).toMatch(/^INPUT_REJECTED/);
    const open = readerFor([family], { namesAccounts: true });
    expect(open.read(request).understood).toBe(true);
  });
});
