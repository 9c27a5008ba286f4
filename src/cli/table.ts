/** Plain tables: columns as wide as their widest cell, two spaces apart, readable by people and by `awk`. */
import { colorsOf, printable, type Terminal } from './terminal.ts';

export type OutputFormat = 'table' | 'json';

/** Rows under a heading; cells of a row in the order of the columns. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export function renderTable({ columns, rows }: Table, heading: (text: string) => string): string {
  const cells = rows.map(row => columns.map((_, at) => printable(row[at] ?? '')));
  const widths = columns.map((name, at) => Math.max(name.length, ...cells.map(row => row[at]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => (at === columns.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  return [heading(line(columns.map(name => name.toUpperCase()))), ...cells.map(line)].join('\n');
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
  terminal.out(`${renderTable(data, colorsOf(terminal).bold)}\n`);
  if (data.rows.length === 0) terminal.err('nothing found\n');
}
