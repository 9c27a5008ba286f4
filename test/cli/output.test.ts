/** What the commands print: tables, errors and progress, safe for a terminal and for a pipe. */
import { describe, expect, test } from 'vitest';
import { CliError, EXIT } from '../../src/cli/exit-code.ts';
import { printData, renderTable } from '../../src/cli/table.ts';
import { printable, printError, Progress, wantsColor } from '../../src/cli/terminal.ts';
import { recordingTerminal } from './recording-terminal.ts';

describe('tables', () => {
  test('align their columns and end lines without spaces', () => {
    const table = {
      columns: ['id', 'state'],
      rows: [
        ['a', 'active'],
        ['longer', ''],
      ],
    };
    expect(renderTable(table, text => text)).toBe('ID      STATE\na       active\nlonger');
  });

  test('become blocks on a screen that is too narrow, and stay tables in a pipe', () => {
    const table = {
      columns: ['id', 'reason'],
      rows: [
        ['a', 'long enough'],
        ['b', ''],
      ],
    };
    const wide = 'ID  REASON\na   long enough\nb';
    expect(renderTable(table, text => text, 14)).toBe('ID      a\nREASON  long enough\n\nID      b');
    expect(renderTable(table, text => text, 15)).toBe(wide);
    expect(renderTable(table, text => text)).toBe(wide);
    expect(renderTable({ ...table, rows: [] }, text => text, 3)).toBe('ID  REASON');
  });

  test('are data on stdout; that there is none is talk', () => {
    const terminal = recordingTerminal();
    printData(terminal, 'table', {}, () => ({ columns: ['id'], rows: [] }));
    expect(terminal.stdout()).toBe('ID\n');
    expect(terminal.stderr()).toBe('nothing found\n');
  });

  test('give way to the value itself as JSON', () => {
    const terminal = recordingTerminal();
    printData(terminal, 'json', { items: [1] }, () => ({ columns: [], rows: [] }));
    expect(JSON.parse(terminal.stdout())).toEqual({ items: [1] });
    expect(terminal.stderr()).toBe('');
  });
});

describe('text from elsewhere', () => {
  test.each([
    ['\x1b[2Jgone', '\u{fffd}[2Jgone'],
    ['two\nlines\r', 'two\u{fffd}lines\u{fffd}'],
    ['right\u202eleft', 'right\u{fffd}left'],
    ['plain “text” ✓', 'plain “text” ✓'],
  ])('%j cannot drive the terminal', (text, shown) => expect(printable(text)).toBe(shown));

  test('reaches stderr without control characters', () => {
    const terminal = recordingTerminal();
    const problems = [{ file: 'a\x1b.cedar', line: 3, column: 4, message: 'bad\x07', hint: 'do\x00 this' }];
    printError(terminal, new CliError('it\nfailed', { problems, hint: 'try' }));
    expect(terminal.stderr()).toBe(
      'error: it\u{fffd}failed\n  a\u{fffd}.cedar:3:4: bad\u{fffd}\n    hint: do\u{fffd} this\nhint: try\n',
    );
  });
});

describe('the place of a problem', () => {
  test.each([
    [{ file: 'a.cedar', line: 3, column: 4 }, 'a.cedar:3:4: '],
    [{ file: 'manifest.json', pointer: '/layer' }, 'manifest.json: '],
    [{ line: 7, pointer: '/attributes/org' }, 'line 7 /attributes/org: '],
    [{ line: 7, column: 2 }, 'line 7:2: '],
    [{ pointer: '?limit' }, '?limit: '],
    [{}, ''],
  ])('%j is shown as %j', (place, shown) => {
    const terminal = recordingTerminal();
    printError(terminal, new CliError('failed', { problems: [{ ...place, message: 'bad' }] }));
    expect(terminal.stderr()).toBe(`error: failed\n  ${shown}bad\n`);
  });
});

describe('colour', () => {
  test.each([
    [{}, true, true],
    [{}, false, false],
    [{ NO_COLOR: '1' }, true, false],
    [{ NO_COLOR: '1', FORCE_COLOR: '1' }, true, false],
    [{ NO_COLOR: '' }, true, true],
    [{ FORCE_COLOR: '1' }, false, true],
    [{ TERM: 'dumb' }, true, false],
  ])('%j on a terminal (%j): %j', (env, isTty, wanted) => expect(wantsColor(env, isTty)).toBe(wanted));

  test('marks an error only when it is wanted', () => {
    const terminal = recordingTerminal({ color: true });
    printError(terminal, new CliError('failed'));
    expect(terminal.stderr()).toContain('\x1b[31merror');
  });
});

describe('progress', () => {
  test('rewrites its line on a terminal and clears it at the end', () => {
    const terminal = recordingTerminal({ interactive: true });
    const progress = new Progress(terminal);
    progress.show('one');
    progress.show('two');
    progress.done();
    expect(terminal.stderr()).toBe('\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K');
  });

  test('writes a line now and then into a file', () => {
    const terminal = recordingTerminal();
    const progress = new Progress(terminal);
    for (const step of ['1', '2', '3', '4', '5', '6', '7']) progress.show(step);
    progress.done();
    // the clock of the test moves a second per look, and lines are five seconds apart
    expect(terminal.stderr()).toBe('1\n6\n');
  });
});

test('exit codes are those of the contract', () => {
  // a log that does not verify is a gate that failed
  const gates = { gateFailed: 5, notVerified: 5 };
  expect(EXIT).toEqual({ ok: 0, failure: 1, deny: 2, invalid: 3, testsFailed: 4, ...gates, usage: 64 });
});
