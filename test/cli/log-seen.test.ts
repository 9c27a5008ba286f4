/** Decision ids out of a gateway's files: every form that names one is read, and nothing else is. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CliError, EXIT } from '../../src/cli/exit-code.ts';
import { readSeenLog } from '../../src/cli/log-seen.ts';
import { MAX_PIECE } from '../../src/cli/text-pieces.ts';

const A = '019a1b2c-0000-7000-8000-00000000000a';
const B = '019a1b2c-0000-7000-8000-00000000000b';
const ORIGIN = 'duramen.local/3f2a';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'duramen-seen-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function fileOf(text: string): string {
  const file = join(folder, 'gateway.log');
  writeFileSync(file, text);
  return file;
}

describe('a file of a gateway', () => {
  test.each([
    ['a plain list', `${A}\n${B}\n`, [A, B]],
    ['a plain list with Windows line ends and blank lines', `${A}\r\n\r\n${B}\r\n`, [A, B]],
    ['quoted values of a column', `"${A}",\n"${B}"\n`, [A, B]],
    ['answers as NDJSON', `{"decisionId":"${A}","decision":"allow"}\n{"decisionId":"${B}"}\n`, [A, B]],
    ['one answer over several lines', `{\n  "decision": "deny",\n  "decisionId": "${A}"\n}\n`, [A]],
    ['a batch answer in one line', `{"decisions":[{"decisionId":"${A}"},{"decisionId":"${B}"}]}`, [A, B]],
    ['an answer quoted in a log line', `{"body":"{\\"decisionId\\":\\"${A}\\"}"}`, [A]],
    ['an access log with the header', `1.2.3.4 "POST /v1" 200 x-duramen-decision-id: ${A}\n`, [A]],
    ['headers as JSON lists', `{"headers":{"X-Duramen-Decision-Id":["${A}"]}}\n`, [A]],
    ['an id in upper case', `${A.toUpperCase()}\n`, [A]],
    ['a list of old Macs, with a mark of its bytes', `\ufeff${A}\r${B}\r`, [A, B]],
    ['key=value lines', `ts=1 decision_id=${A} request_id=${B}\n`, [A]],
  ])('is read: %s', async (_form, text, ids) => {
    const seen = await readSeenLog(fileOf(text), ORIGIN);
    expect([...seen.ids.keys()]).toEqual(ids);
  });

  test('keeps the line of each id, and counts the lines that name none', async () => {
    const text = `# started\n{"decisionId":"${A}"}\nGET /livez request_id=${B}\n{"decisionId":"${B}"}\n`;
    const seen = await readSeenLog(fileOf(text), ORIGIN);
    expect([...seen.ids]).toEqual([
      [A, { line: 2 }],
      [B, { line: 4 }],
    ]);
    expect(seen).toMatchObject({ lines: 4, linesWithout: 2 });
  });

  test('gives an id its index, and tells how large the log was', async () => {
    const text =
      `x-duramen-decision-id: ${A} x-duramen-log: ${ORIGIN} 41 60\n` +
      `{"x-duramen-log":"${ORIGIN} 7 52","decisionId":"${B}"}\n`;
    const seen = await readSeenLog(fileOf(text), ORIGIN);
    expect(seen.ids.get(A)).toEqual({ line: 1, index: 41 });
    expect(seen.ids.get(B)).toEqual({ line: 2, index: 7 });
    expect(seen.largest).toEqual({ origin: ORIGIN, index: 41, size: 60, line: 1 });
  });

  test('may be one line of many answers: every one of them counts', async () => {
    const ids = Array.from(
      { length: 60_000 },
      (_, n) => `019a1b2c-0000-7000-8000-${String(n).padStart(12, '0')}`,
    );
    const text = JSON.stringify(ids.map(decisionId => ({ decision: 'allow', decisionId })));
    expect(text.length).toBeGreaterThan(4 * MAX_PIECE);
    const seen = await readSeenLog(fileOf(text), ORIGIN);
    expect([...seen.ids.keys()]).toEqual(ids);
    expect(seen).toMatchObject({ lines: 1, linesWithout: 0 });
  });

  test('may have a line of 600 MB without an end', async () => {
    const file = fileOf(`${A}\n`);
    truncateSync(file, 600 * 2 ** 20);
    const seen = await readSeenLog(file, ORIGIN);
    expect([...seen.ids.keys()]).toEqual([A]);
    rmSync(file);
  }, 120_000);

  test('leaves out what another log answered', async () => {
    const text = `${A}\nx-duramen-decision-id: ${B} x-duramen-log: other.example/1 4 5\n`;
    const seen = await readSeenLog(fileOf(text), ORIGIN);
    expect([...seen.ids.keys()]).toEqual([A]);
    expect(seen).toMatchObject({ linesOfOthers: 1, largest: undefined });
  });

  test('in which another log alone answered is not said to name no decision', async () => {
    const file = fileOf(`x-duramen-decision-id: ${A} x-duramen-log: duramen.local/other 4 9\n`);
    await expect(readSeenLog(file, ORIGIN)).rejects.toThrow('names decisions of other logs');
  });

  test('that names no decision is a usage error, and one that is not there a failure', async () => {
    await expect(readSeenLog(fileOf('hello world, nothing here\n'), ORIGIN)).rejects.toMatchObject({
      exitCode: EXIT.usage,
    });
    const missing = readSeenLog(join(folder, 'nothing'), ORIGIN);
    await expect(missing).rejects.toBeInstanceOf(CliError);
    await expect(missing).rejects.toMatchObject({ exitCode: EXIT.failure });
  });
});
