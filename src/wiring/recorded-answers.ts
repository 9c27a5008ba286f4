/** Reads what cedar-wasm said of the texts that this build ships. Invariant: what cannot be read stops the start. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { RecordedAnswers } from '../cedar/recorded-answers.ts';
import type { JsonObject } from '../domain/json.ts';
import { readCedarVersion } from './version.ts';

/** Written by `npm run generate`. */
const RECORDING = new URL('../../schema/recorded-answers.json', import.meta.url);

const recordingSchema = z.strictObject({
  cedarVersion: z.string(),
  schemas: z.record(z.string(), z.record(z.string(), z.unknown())),
  // read key by key where it is decoded
  policies: z.record(z.string(), z.custom<JsonObject>(isObject)),
  passed: z.array(z.string()),
});

/** The answers of the cedar-wasm that is installed; none when the recording is of another version. */
export function readRecordedAnswers(cedarVersion: string = readCedarVersion()): RecordedAnswers {
  const recording = recordingSchema.parse(JSON.parse(readFileSync(RECORDING, 'utf8')));
  return new RecordedAnswers(recording, cedarVersion);
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
