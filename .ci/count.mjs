/** Prints the last line of .ci/run from vitest's JSON report: what ran, what failed, what was skipped. */
import { readFileSync } from 'node:fs';

const [report, status] = process.argv.slice(2);
let counts = { numPassedTests: 0, numFailedTests: 1, numPendingTests: 0, numTodoTests: 0 };
try {
  counts = JSON.parse(readFileSync(report, 'utf8'));
} catch {
  process.stderr.write('the tests left no report\n');
}
const skipped = counts.numPendingTests + counts.numTodoTests;
// a failure outside of a test (a suite that does not load, a failed check) counts as one
const failed = counts.numFailedTests === 0 && status !== '0' ? 1 : counts.numFailedTests;
const tail = skipped > 0 ? `, ${skipped} skipped` : '';
process.stdout.write(`${counts.numPassedTests} passed, ${failed} failed${tail}\n`);
process.exitCode = failed === 0 ? 0 : 1;
