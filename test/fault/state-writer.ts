/** Process of state-kill.test.ts: commits without end and prints each revision after its promise resolved. */
import { StateStore } from '../../src/store/sqlite/state-client.ts';
import { AT, body, event, put, type StatePorts } from '../conformance/state-backend.ts';

const [folder = ''] = process.argv.slice(2);
const store: StatePorts = await StateStore.open({ folder, at: AT });
let revision = await store.directory.revision();
for (;;) {
  const next = revision + 1;
  const tx = await store.directory.begin();
  // Two entities in one revision: half of one would show.
  await tx.write([
    put('left', body({ n: next })),
    put(`r${next}`, body({ n: next })),
    put('right', body({ n: next })),
  ]);
  revision = await tx.commit(AT, event(`e${next}`));
  process.stdout.write(`${revision}\n`);
}
