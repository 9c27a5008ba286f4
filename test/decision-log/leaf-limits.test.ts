/** What a leaf keeps of limits, and how it is read back. */
import { describe, expect, test } from 'vitest';
import { entryView, NOTHING_OPENED } from '../../src/decision-log/entry-view.ts';
import { writeLeaf } from '../../src/decision-log/leaf.ts';
import { completed } from './completed-leaf.ts';
import { parseLeaf } from '../../src/decision-log/logged-leaf.ts';
import type { Reason } from '../../src/domain/decision.ts';
import type { LogEntry } from '../../src/domain/log-entry.ts';
import { decisionEntry, limitResult } from './entries.ts';
import { testPrivacy } from './test-privacy.ts';

const leafText = (entry: LogEntry): string => completed(writeLeaf(entry, testPrivacy())).text;
const view = (entry: LogEntry) => entryView(parseLeaf(leafText(entry)), NOTHING_OPENED);

describe('the leaf', () => {
  test('of a deny by a limit says which, and that no policy denied', () => {
    const message = 'limit `platform/user-burst` is reached';
    const reason: Reason = { code: 'RATE_LIMITED', level: 'action', message, policies: [] };
    const limits = [limitResult({ violated: true, retryAfterMs: 4_000, reserved: 0, remaining: 0 })];
    const entry = decisionEntry(1, { decision: 'deny', reason, limits });
    expect(parseLeaf(leafText(entry))['limits']).toEqual([
      ['platform/user-burst', 'requests', 24, 0, 0, 'violated'],
    ]);
    expect(view(entry)).toMatchObject({
      decision: 'deny',
      reason,
      levels: { action: { decision: 'allow' } },
      limits: [{ name: 'platform/user-burst', mode: 'enforce', violated: true }],
    });
  });

  test('of a decision that could not be counted names no policy either', () => {
    const reason: Reason = { code: 'INTERNAL_ERROR', level: 'action', message: 'x', policies: [] };
    expect(view(decisionEntry(1, { decision: 'deny', reason }))).toMatchObject({
      reason: { code: 'INTERNAL_ERROR', message: 'the decision failed inside the service', policies: [] },
    });
  });
});
