/**
 * From the files of a bundle to its parts: policies, templates, links, limits and tests. Invariant: what is returned
 * has the right shape; every problem of every file is reported with its place, not only the first.
 */
import { z } from 'zod';
import type { BundleManifest } from '../domain/bundle.ts';
import type { Problem } from '../domain/errors.ts';
import { type EntityRef, entityRefSchema, idSchema, type LayerName, MAX_ID_LENGTH } from '../domain/ids.ts';
import { type LimitsFile, limitsFileSchema } from '../domain/limit-definition.ts';
import { SCHEMA_FILE } from './archive.ts';
import { sortedPaths } from './digest.ts';
import { type JsonPlace, parseAt } from './json-problems.ts';
import { isSource, parseJsonSource, type Position } from './json-source.ts';
import { printable, roleOf } from './paths.ts';
import { keysOf } from './schema-keys.ts';
import {
  MAX_CASES,
  overlay,
  TEST_KEYS,
  type TestCase,
  type TestEntity,
  testFileSchema,
} from './test-case.ts';

/** Most links of one bundle: each is a policy. */
const MAX_LINKS = 10_000;
const LINKS_FILE = 'links.json';

/** A text file with its path in the bundle. */
interface SourceFile {
  readonly path: string;
  readonly text: string;
}

const linkSchema = z.strictObject({
  /** `@id` of the template. */
  templateId: idSchema,
  /** The id of the policy that the link makes. */
  id: idSchema,
  values: z.strictObject({ principal: entityRefSchema.optional(), resource: entityRefSchema.optional() }),
  /** Added to the template's annotations, or replacing them. */
  annotations: z.record(z.string().max(MAX_ID_LENGTH), z.string().max(4096)).default({}),
});
const linksSchema = z.array(linkSchema).max(MAX_LINKS);
const LINK_KEYS = [...Object.keys(linkSchema.shape), 'principal', 'resource', 'type', 'id'];

/** A template made a policy by filling its slots. */
interface BundleLink extends Position {
  readonly templateId: string;
  readonly id: string;
  readonly values: { readonly principal?: EntityRef | undefined; readonly resource?: EntityRef | undefined };
  readonly annotations: Readonly<Record<string, string>>;
}

/** A parsed limits.json that can say where everything in it stands. */
export interface LimitsSource {
  readonly file: LimitsFile;
  readonly place: JsonPlace & { readonly file: string };
}

/** The parts of a bundle. */
export interface BundleLayout {
  readonly layer: LayerName;
  /** Only in a platform bundle that brings its own. */
  readonly schema: SourceFile | undefined;
  readonly policies: readonly SourceFile[];
  readonly templates: readonly SourceFile[];
  readonly links: readonly BundleLink[];
  readonly tests: readonly TestCase[];
  /** Absent: the bundle has no limits.json. */
  readonly limits: LimitsSource | undefined;
}

/** Sorts the files of a bundle into its parts and parses the JSON ones. */
export function readLayout(
  manifest: BundleManifest,
  files: Readonly<Record<string, string>>,
  problems: Problem[],
): BundleLayout {
  const sources = sortedPaths(files).map(path => ({ path, text: files[path] ?? '', role: roleOf(path) }));
  const ofRole = (role: string): SourceFile[] => sources.filter(source => source.role === role);
  const schema = ofRole('schema')[0];
  if (schema !== undefined && manifest.layer !== 'platform') {
    problems.push({
      file: SCHEMA_FILE,
      line: 1,
      column: 1,
      message: `a bundle of layer \`${manifest.layer}\` may not bring a schema`,
      hint: 'the platform layer holds the schema of all layers; remove the file',
    });
  }
  const links = ofRole('links')[0];
  const limits = ofRole('limits')[0];
  return {
    layer: manifest.layer,
    schema,
    policies: ofRole('policies'),
    templates: ofRole('templates'),
    links: links === undefined ? [] : readLinks(links.text, problems),
    tests: readTests(ofRole('tests'), problems),
    limits: limits === undefined ? undefined : readLimits(limits, problems),
  };
}

function readLinks(text: string, problems: Problem[]): readonly BundleLink[] {
  const place = openJson({ path: LINKS_FILE, text }, problems);
  if (place === undefined) return [];
  const links = parseAt(linksSchema, place.source.value, place, LINK_KEYS, problems) ?? [];
  const seen = new Set<string>();
  return links.map((link, position) => {
    if (seen.has(link.id)) {
      problems.push({
        file: LINKS_FILE,
        ...place.source.locate(`/${position}/id`),
        message: `two links have the id \`${printable(link.id)}\``,
        hint: 'give each link an id of its own',
      });
    }
    seen.add(link.id);
    return { ...link, ...place.source.locate(`/${position}`) };
  });
}

function readLimits(file: SourceFile, problems: Problem[]): LimitsSource | undefined {
  const place = openJson(file, problems);
  if (place === undefined) return undefined;
  const parsed = parseAt(limitsFileSchema, place.source.value, place, keysOf(limitsFileSchema), problems);
  return parsed === undefined ? undefined : { file: parsed, place };
}

function readTests(files: readonly SourceFile[], problems: Problem[]): readonly TestCase[] {
  const cases: TestCase[] = [];
  for (const file of files) {
    const place = openJson(file, problems);
    if (place === undefined) continue;
    const parsed = parseAt(testFileSchema, place.source.value, place, TEST_KEYS, problems);
    if (parsed === undefined) continue;
    refuseTwins(parsed.directory, '/directory', place, problems);
    const names = new Set<string>();
    for (const [position, { name, directory, request, now, expect }] of parsed.cases.entries()) {
      const pointer = `/cases/${position}`;
      const at = place.source.locate(pointer);
      refuseTwins(directory, `${pointer}/directory`, place, problems);
      if (names.has(name)) {
        problems.push({
          file: file.path,
          ...place.source.locate(`${pointer}/name`),
          message: `two cases of this file have the name \`${printable(name)}\``,
          hint: 'a report names cases by their name: make it unique',
        });
      }
      names.add(name);
      const entities = overlay(parsed.directory, directory);
      cases.push({ file: file.path, ...at, name, directory: entities, request, now, expect });
    }
  }
  if (cases.length > MAX_CASES) {
    problems.push({
      message: `the bundle has ${cases.length} test cases, the most is ${MAX_CASES}`,
      hint: 'each push runs all of them: keep the ones that tell apart',
    });
  }
  return cases;
}

/** Of two entities of one name in one list the first would be without effect. */
function refuseTwins(
  entities: readonly TestEntity[],
  pointer: string,
  place: JsonPlace & { readonly file: string },
  problems: Problem[],
): void {
  const seen = new Set<string>();
  for (const [position, { type, id }] of entities.entries()) {
    const name = `${type} ${id}`;
    if (seen.has(name)) {
      problems.push({
        file: place.file,
        ...place.source.locate(`${pointer}/${position}`),
        pointer: `${pointer}/${position}`,
        message: `\`${printable(`${type}::${id}`)}\` is twice in one directory`,
        hint: 'keep one of the two; only an entity of a case replaces one of its file',
      });
    }
    seen.add(name);
  }
}

function openJson(
  file: SourceFile,
  problems: Problem[],
): (JsonPlace & { readonly file: string }) | undefined {
  const source = parseJsonSource(file.text, file.path);
  if (isSource(source)) return { file: file.path, source, pointer: '' };
  problems.push(source);
  return undefined;
}
