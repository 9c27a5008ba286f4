/**
 * Plain tables: columns as wide as their widest cell, two spaces apart, readable by people and by `awk`. On a screen
 * that is too narrow each row becomes a block of lines instead. Invariant: no cell is cut, and pipes get the table.
 */
import { colorsOf, printable, type Terminal } from './terminal.ts';

export type OutputFormat = 'table' | 'json';

/** Rows under a heading; cells of a row in the order of the columns. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** @param width of the screen in characters; undefined when it is none */
export function renderTable(table: Table, heading: (text: string) => string, width?: number): string {
  const { columns, rows } = table;
  const cells = rows.map(row => columns.map((_, at) => printable(row[at] ?? '')));
  const widths = columns.map((name, at) => Math.max(name.length, ...cells.map(row => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => (at === columns.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  const lines = [line(columns.map(name => name.toUpperCase())), ...cells.map(line)];
  const isTooWide = width !== undefined && lines.some(text => text.length > width);
  if (isTooWide && rows.length > 0) return cells.map(row => block(columns, row, heading)).join('\n\n');
  return [heading(lines[0] ?? ''), ...lines.slice(1)].join('\n');
}

/** A row as one line for each cell that is not empty. */
function block(
  columns: readonly string[],
  row: readonly string[],
  heading: (text: string) => string,
): string {
  const width = Math.max(...columns.map(name => name.length));
  return columns
    .flatMap((name, at) => {
      const cell = row[at] ?? '';
      return cell === '' ? [] : [`${heading(name.toUpperCase().padEnd(width))}  ${cell}`];
    })
    .join('\n');
}

/** Prints data in the asked format: the value itself as JSON, or its table. */
export function printData(
  terminal: Terminal,
  format: OutputFormat,
  value: unknown,
  table: () => Table,
): void {
  if (format === 'json') {
    terminal.out(`${JSON.stringify(value, undefined, 2)}\n`);
    return;
  }
  const data = table();
  terminal.out(`${renderTable(data, colorsOf(terminal).bold, terminal.width)}\n`);
  if (data.rows.length === 0) terminal.err('nothing found\n');
}
