/**
 * `duramen demo`: the service with something in it. Invariants: only an empty store is filled, through the same
 * services as over HTTP; every start makes a key that is limited to the demo's tenants and ends with the process.
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEMO_REQUESTS } from '../demo/requests.ts';
import { timestamp } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { entityLineSchema } from '../domain/entity.ts';
import type { LayerName } from '../domain/ids.ts';
import { parseJson } from '../edge/http/json-body.ts';
import type { Services } from '../edge/http/services.ts';
import { parseWith } from '../edge/http/validation.ts';
import { readBundleFolder } from './bundle-folder.ts';
import { readConfig } from './config.ts';
import { runService } from './serve.ts';
import { colorsOf, type Terminal } from './terminal.ts';

/** Longest life of a demo key in milliseconds: one that survives a crash does not survive the day. */
const KEY_LIFE_MS = 24 * 3600 * 1000;
const TENANTS = ['acme', 'globex'];
const POLICIES = fileURLToPath(new URL('../../policies', import.meta.url));
const DIRECTORY = fileURLToPath(new URL('../demo/directory.ndjson', import.meta.url));
/** The platform first: the others are checked beside it. */
const BUNDLES: readonly { readonly layer: LayerName; readonly folder: string }[] = [
  { layer: 'platform', folder: 'platform' },
  { layer: 'tenant:acme', folder: 'tenants/acme' },
  { layer: 'tenant:globex', folder: 'tenants/globex' },
];

/** Who fills the store, as the log names it. */
const DEMO: Credential = {
  keyId: 'demo',
  roles: new Set(['admin']),
  tenants: undefined,
  mayAssert: true,
};

export async function runDemo(terminal: Terminal): Promise<void> {
  const { config } = readConfig(terminal);
  await runService(terminal, config, async (service, stopped) => {
    const { url, services } = service;
    await fillEmptyStore(terminal, services);
    const key = await makeKey(services);
    // not sooner: what was accepted before the stop is answered, and needs the key for it
    service.afterLastAnswer(() => services.keys.revoke(key.id, DEMO));
    printTour(terminal, url, key.token);
    terminal.err('this is a demo: `duramen serve` starts the service without its data and its key\n');
    await stopped;
  });
}

/** Loads what is missing of the demo, the directory last: with it the store counts as filled. */
async function fillEmptyStore(terminal: Terminal, { bundles, directory }: Services): Promise<void> {
  const active = bundles.layers(DEMO);
  // an interrupted first start leaves bundles of its own: it goes on where it ended
  if (directory.graph.size > 0 || active.some(layer => layer.active.actor !== DEMO.keyId)) return;
  for (const { layer, folder } of BUNDLES) {
    if (active.some(one => one.layer === layer)) continue;
    terminal.err(`loading the bundle of ${layer} …\n`);
    const { manifest, files } = await readBundleFolder(join(POLICIES, folder));
    const body = new TextEncoder().encode(JSON.stringify({ manifest, files }));
    await bundles.push({ form: 'json', body, dryRun: false, activate: true }, DEMO);
  }
  const { created } = await directory.import(createReadStream(DIRECTORY), DEMO, {
    parseLine: bytes => parseWith(entityLineSchema, parseJson(bytes)),
  });
  terminal.err(`loaded a directory of ${created} entities\n`);
}

async function makeKey({ keys, clock }: Services): Promise<{ id: string; token: string }> {
  const { record, token } = await keys.create(
    {
      roles: ['pep', 'auditor'],
      tenants: TENANTS,
      description: 'demo: ends with the process',
      expiresAt: timestamp(clock.now() + KEY_LIFE_MS),
      mayAssert: true,
    },
    DEMO,
  );
  return { id: record.id, token };
}

/** Ready-made requests on stdout; each line can be pasted into a shell. */
function printTour(terminal: Terminal, url: string, token: string): void {
  const { dim } = colorsOf(terminal);
  terminal.out(`${dim('# a key for the tenants of the demo, until this process ends')}\n`);
  terminal.out(`export DURAMEN_URL=${url} DURAMEN_KEY=${token}\n`);
  for (const { title, request } of DEMO_REQUESTS) {
    terminal.out(`\n${dim(`# ${title}`)}\n`);
    terminal.out(
      `curl -s ${url}/decide -H 'authorization: Bearer ${token}' -H 'content-type: application/json' -d '${JSON.stringify(request)}'\n`,
    );
  }
}
