/**
 * Fills in the configuration of a gateway. Invariants: what has no value stays the placeholder that it was, which no
 * gateway accepts in silence; a value cannot become anything but a value where it is put.
 */
import { CliError, EXIT } from './exit-code.ts';

/** Text of a placeholder: `@PDP@`. */
const PLACEHOLDER = /@([A-Z]+)@/g;
/** What values may be made of: nothing that ends a string, a line or a statement in any of the files. */
const VALUE = /^[A-Za-z0-9._:/[\]+~-]+$/;

/** Values by placeholder, without the signs. */
export type TemplateValues = Readonly<Record<string, string | undefined>>;

/** Addresses as `host:port` with the placeholders of both parts. */
export function addressValues(option: string, name: string, address: string): TemplateValues {
  const match = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(address);
  const [, host = '', port = ''] = match ?? [];
  if (match === null || Number(port) < 1 || Number(port) > 65_535) {
    throw new CliError(`\`${address}\` of --${option} is no address`, {
      exitCode: EXIT.usage,
      hint: 'give it the form host:port',
    });
  }
  const [hostName, portName] = name === 'LISTEN' ? ['HOST', 'PORT'] : [`${name}HOST`, `${name}PORT`];
  return { [name]: address, [hostName]: host.replaceAll(/[[\]]/g, ''), [portName]: port };
}

/** @throws CliError for a value that could be read as more than a value */
export function checkValue(option: string, value: string): string {
  if (VALUE.test(value) && value.length <= 512) return value;
  throw new CliError(`\`${value}\` of --${option} has characters that a configuration could misread`, {
    exitCode: EXIT.usage,
    hint: 'letters, digits and . _ : / [ ] + ~ - are taken',
  });
}

/** The text with values in place of the placeholders that have one. */
export function fillTemplate(text: string, values: TemplateValues): string {
  return text.replaceAll(PLACEHOLDER, (placeholder, name: string) => values[name] ?? placeholder);
}

/** Puts a script in place of its placeholder, every line as far to the right as the placeholder stood. */
export function insertScript(text: string, script: string): string {
  return text.replace(/^( *)@LUA@$/m, (_, indent: string) =>
    script
      .trimEnd()
      .split('\n')
      .map(line => (line === '' ? '' : indent + line))
      .join('\n'),
  );
}

/** Renames the profile wherever a file names it. */
export function renameProfile(text: string, from: string, to: string): string {
  const place =
    /(?<=\/ext-authz\/|\/hooks\/[a-z]+\/|duramen_profile: |duramen_profile, type: Value, value: |x-duramen-profile, value: |^name: )/
      .source;
  return text.replaceAll(new RegExp(`${place}${from}(?![a-z0-9-])`, 'gm'), to);
}

/** The placeholders that are left, each once, in the order of the text. */
export function openPlaceholders(text: string): readonly string[] {
  return [...new Set([...text.matchAll(PLACEHOLDER)].map(([placeholder]) => placeholder))];
}
