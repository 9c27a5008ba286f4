/**
 * The service ends when its log can no longer be trusted, and the next start finds every answered decision.
 * A file size limit of the shell makes a real write fail.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';

const REPOSITORY = join(import.meta.dirname, '../..');
const ADMIN_KEY = 'fault-suite-bootstrap-key-0123456789';
/** Kibibytes that no file may exceed: enough for the demo's stores, too little for some hundred entries. */
const FILE_LIMIT_KIB = 1536;
const folder = mkdtempSync(join(tmpdir(), 'duramen-fault-'));
const children: ChildProcess[] = [];
afterAll(() => {
  // one that a failed test left running
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ended: Promise<number | null>;
  stderr(): string;
}

async function start(limit: string): Promise<Running> {
  const command = `${limit} exec "$0" src/cli.ts demo`;
  const child = spawn('bash', ['-c', command, process.execPath], {
    cwd: REPOSITORY,
    env: {
      ...process.env,
      DURAMEN_DATA_DIR: folder,
      DURAMEN_HTTP_LISTEN: '127.0.0.1:0',
      DURAMEN_GRPC_LISTEN: '',
      DURAMEN_BOOTSTRAP_KEY: ADMIN_KEY,
      DURAMEN_LOG_LEVEL: 'error',
    },
  });
  children.push(child);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>(resolve => {
    child.once('exit', code => resolve(code));
  });
  await expect.poll(() => stderr, { timeout: 50_000 }).toMatch(/listening on http:[^,\s]+[,\s]/);
  const url = /listening on (http:\/\/[^,\s]+)/.exec(stderr)?.[1] ?? '';
  return { child, url, ended, stderr: () => stderr };
}

const batchAnswer = z.object({ decisions: z.array(z.looseObject({ decisionId: z.string().optional() })) });
const request = {
  principal: { type: 'User', id: 'acme/alice' },
  action: 'generate',
  resource: { type: 'Model', id: 'acme/support-llm' },
};

/** Ids of the decisions that one batch answered; none when the connection broke. */
async function decideBatch(url: string): Promise<string[]> {
  try {
    const response = await fetch(`${url}/decide/batch`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ requests: Array.from({ length: 50 }, () => request) }),
    });
    const { decisions } = batchAnswer.parse(await response.json());
    return decisions.flatMap(({ decisionId }) => (decisionId === undefined ? [] : [decisionId]));
  } catch {
    return [];
  }
}

const page = z.object({
  items: z.array(z.looseObject({ id: z.string() })),
  nextCursor: z.string().nullable(),
});

/** Ids of all decisions that the service finds in its log. */
async function decidedIds(url: string): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (let cursor: string | null = ''; cursor !== null; ) {
    const more = cursor === '' ? '' : `&cursor=${cursor}`;
    const response = await fetch(`${url}/v1/decisions?limit=1000${more}`, {
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
    });
    expect(response.status).toBe(200);
    const { items, nextCursor } = page.parse(await response.json());
    for (const { id } of items) found.add(id);
    cursor = nextCursor;
  }
  return found;
}

describe('a log that cannot be written again', () => {
  it('ends the service, and every answered decision is found after the restart', async () => {
    const first = await start(`ulimit -f ${FILE_LIMIT_KIB};`);
    const answered: string[] = [];
    for (let batch = 0; batch < 100 && first.child.exitCode === null; batch++) {
      answered.push(...(await decideBatch(first.url)));
    }
    expect(await first.ended).toBe(1);
    expect(first.stderr()).toContain('the decision log failed, so the service ends');
    expect(answered.length).toBeGreaterThan(0);

    const second = await start('');
    try {
      const found = await decidedIds(second.url);
      expect(answered.filter(id => !found.has(id))).toEqual([]);
    } finally {
      second.child.kill('SIGTERM');
      await second.ended;
    }
  }, 240_000);
});
