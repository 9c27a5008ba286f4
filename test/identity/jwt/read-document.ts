/** Reads one document in a process of its own, whose trusted certificates the test chooses. Prints it, or why not. */
import { hostRules } from '../../../src/identity/jwt/host-rules.ts';
import { RemoteDocuments } from '../../../src/identity/jwt/remote-documents.ts';

const [url = ''] = process.argv.slice(2);
const { hostname } = new URL(url);
try {
  const document = await new RemoteDocuments({ deadlineMs: 30_000 }).read({
    url,
    rules: hostRules(url, [], [hostname]),
  });
  process.stdout.write(JSON.stringify(document));
} catch (error) {
  process.stdout.write(`refused: ${error instanceof Error ? error.message : 'unknown'}`);
}
