/** Where checkpoints of the decision log are published: the settings `anchor.*`. */
import { z } from 'zod';
import { settingNotes } from './setting-notes.ts';

/** A witness of the log: where it is, and the key of its cosignatures as text. */
export interface WitnessSetting {
  readonly url: string;
  readonly verifierKey: string;
}

/** `https://witness.example/w1 name+1a2b3c4d+BA…`; undefined when it is none. The key itself is read later. */
export function parseWitness(text: string): WitnessSetting | undefined {
  const [address = '', verifierKey = '', ...more] = text.split(' ');
  if (more.length > 0 || !/^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+=*$/.test(verifierKey)) return undefined;
  if (!URL.canParse(address)) return undefined;
  const { protocol, username, password, search, hash } = new URL(address);
  const plain = username === '' && password === '' && search === '' && hash === '';
  return plain && (protocol === 'https:' || protocol === 'http:') ? { url: address, verifierKey } : undefined;
}

/** Most anchors of one kind: each costs a write or a request per interval. */
const MAX_ANCHORS = 8;

const anchorPath = z
  .string()
  .regex(/^[^\p{Cc},]{1,1024}$/u, 'must be a path of 1 to 1024 characters without commas');

export const anchorSettings = z.strictObject({
  intervalSeconds: z.int().min(1).max(60).default(60).register(settingNotes, {
    description:
      'How often the newest checkpoint of the decision log is published to every anchor. What the log loses or changes after the last one is not proven by them.',
    unit: 'seconds',
  }),
  maxAgeSeconds: z.int().min(0).max(86_400).default(0).register(settingNotes, {
    description:
      'Age of the last checkpoint at an anchor above which the service is not ready. 0: readiness shows the age, and stays.',
    unit: 'seconds',
  }),
  files: z.array(anchorPath).max(MAX_ANCHORS).default([]).register(settingNotes, {
    description:
      'Files that hold the newest checkpoint, on volumes that do not come back with a restored data folder. Their folders must exist. One log to a file. Comma-separated in the environment.',
    unit: 'paths',
  }),
  directories: z.array(anchorPath).max(MAX_ANCHORS).default([]).register(settingNotes, {
    description:
      'Folders that keep every checkpoint as a file of its own and the newest as `latest`, such as a mounted bucket. They must exist. One log to a folder. Comma-separated in the environment.',
    unit: 'paths',
  }),
  witnesses: z
    .array(
      z
        .string()
        .refine(
          text => parseWitness(text) !== undefined,
          'must be `URL KEY`: an http or https address without query, a space, and the verifier key of the witness',
        ),
    )
    .max(MAX_ANCHORS)
    .default([])
    .register(settingNotes, {
      description:
        'Witnesses after c2sp.org/tlog-witness that cosign checkpoints: submission prefix, a space, verifier key (`https://witness.example/w1 witness.example/w1+1a2b3c4d+BA…`). Comma-separated in the environment.',
      unit: 'addresses with keys',
    }),
});
