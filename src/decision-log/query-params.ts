/**
 * Query strings of GET /v1/decisions and GET /v1/events as queries. All problems are found at once, each with
 * the parameter and, where one is near, the word that was probably meant.
 *
 * A filter is a list: a comma means or, a leading `!` negates the whole list, and a backslash takes the next
 * character literally (ids may hold commas and start with `!`, but never hold a backslash). A principal is an
 * id (`acme/alice`, whatever its type) or `User::acme/alice`, also written `User:acme/alice` and
 * `AI::User::"acme/alice"`.
 */
import type { Problem } from '../domain/errors.ts';
import { LEVELS, NAMESPACE } from '../domain/names.ts';
import { OUTCOME_STATES } from './leaf-facts.ts';
import { EVENT_KINDS } from '../domain/log-entry.ts';
import { REASON_CODES } from '../domain/reason.ts';
import { nearest } from '../domain/spelling.ts';
import {
  DECISION_FILTERS,
  type DecisionFilterName,
  type DecisionQuery,
  type EventQuery,
  type ValueFilter,
} from './ports.ts';
import { MAX_PAGE_ITEMS } from './query-plan.ts';
import { isPrincipalType } from './subject-name.ts';

/** Items of a page when `limit` is absent. */
export const DEFAULT_PAGE_ITEMS = 100;
/** Most values in one filter: each is a walk through an index. */
export const MAX_FILTER_VALUES = 50;
/** Longest value in characters: a policy id is a layer and an id. */
const MAX_VALUE_LENGTH = 600;

const PAGE_PARAMETERS = ['from', 'to', 'limit', 'cursor', 'order'] as const;

/** Filters whose values are a closed set. */
const WORDS: Partial<Record<DecisionFilterName | 'kind', readonly string[]>> = {
  decision: ['allow', 'deny'],
  code: REASON_CODES,
  level: LEVELS,
  outcome: OUTCOME_STATES,
  kind: EVENT_KINDS,
};

/** Filters whose values have one form: another would find nothing, whatever is in the log. */
const FORMS: Partial<Record<DecisionFilterName | 'kind', { readonly form: RegExp; readonly hint: string }>> =
  {
    policy: {
      form: /^(platform|tenant:[^/].*)\/./,
      hint: 'write it with its layer, as `reason.policies` has it: `platform/<id>` or `tenant:<id>/<id>`',
    },
    bundle: { form: /^sha256:[0-9a-f]{64}$/, hint: 'write the whole digest: `sha256:` and 64 hex digits' },
  };

export type Parsed<T> =
  | { readonly ok: true; readonly query: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** @param tenants those that the asker may see; undefined: all */
export function parseDecisionQuery(
  params: URLSearchParams,
  tenants?: readonly string[],
): Parsed<DecisionQuery> {
  const reader = new ParamsReader(params, [...DECISION_FILTERS, ...PAGE_PARAMETERS]);
  const filters: Partial<Record<DecisionFilterName, ValueFilter>> = {};
  for (const name of DECISION_FILTERS) {
    const filter = reader.filter(name);
    if (filter !== undefined) filters[name] = filter;
  }
  return reader.finish({ ...reader.page(), filters, ...(tenants === undefined ? {} : { tenants }) });
}

/** @param tenants those that the asker may see; undefined: all */
export function parseEventQuery(params: URLSearchParams, tenants?: readonly string[]): Parsed<EventQuery> {
  const reader = new ParamsReader(params, ['kind', ...PAGE_PARAMETERS]);
  const kind = reader.filter('kind');
  return reader.finish({
    ...reader.page(),
    ...(kind === undefined ? {} : { kind }),
    ...(tenants === undefined ? {} : { tenants }),
  });
}

type Page = Pick<DecisionQuery, 'from' | 'to' | 'limit' | 'order' | 'cursor'>;

class ParamsReader {
  private readonly params: URLSearchParams;
  private readonly problems: Problem[] = [];

  constructor(params: URLSearchParams, known: readonly string[]) {
    this.params = params;
    for (const name of new Set(params.keys())) {
      if (!known.includes(name)) this.unknown(name, known);
      else if (params.getAll(name).length > 1) {
        this.complain(name, 'it is given more than once', 'separate values by commas');
      }
    }
  }

  finish<T>(query: T): Parsed<T> {
    return this.problems.length === 0 ? { ok: true, query } : { ok: false, problems: this.problems };
  }

  page(): Page {
    const from = this.time('from');
    const to = this.time('to');
    if (from !== undefined && to !== undefined && from >= to) {
      this.complain('to', '`to` is not after `from`', '`from` is inclusive, `to` exclusive');
    }
    const order = this.params.get('order') ?? 'desc';
    if (order !== 'asc' && order !== 'desc') {
      this.complain('order', `\`${clip(order)}\` is neither \`asc\` nor \`desc\``);
    }
    const cursor = this.params.get('cursor');
    return {
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      ...(cursor === null ? {} : { cursor }),
      limit: this.limit(),
      order: order === 'asc' ? 'asc' : 'desc',
    };
  }

  filter(name: DecisionFilterName | 'kind'): ValueFilter | undefined {
    const raw = this.params.get(name);
    if (raw === null) return undefined;
    const negated = raw.startsWith('!');
    const values = splitValues(negated ? raw.slice(1) : raw);
    if (values === undefined) {
      this.complain(name, 'it ends in a backslash', 'a backslash takes the next character literally');
      return undefined;
    }
    if (values.length > MAX_FILTER_VALUES) {
      this.complain(name, `it has ${values.length} values, at most ${MAX_FILTER_VALUES}`);
    }
    for (const value of values) this.checkValue(name, value);
    const normal = name === 'principal' ? values.flatMap(principalReadings) : values;
    return { values: [...new Set(normal)], negated };
  }

  private checkValue(name: DecisionFilterName | 'kind', value: string): void {
    if (value === '' || value.length > MAX_VALUE_LENGTH) {
      this.complain(name, `a value must have 1 to ${MAX_VALUE_LENGTH} characters`);
      return;
    }
    const expected = FORMS[name];
    if (expected?.form.test(value) === false) {
      this.complain(name, `\`${clip(value)}\` is not a value of \`${name}\``, expected.hint);
    }
    const words = WORDS[name];
    if (words === undefined || words.includes(value)) return;
    const near = nearest(value, words);
    const hint = near === undefined ? `one of ${words.join(', ')}` : `did you mean \`${near}\`?`;
    this.complain(name, `\`${clip(value)}\` is not a value of \`${name}\``, hint);
  }

  private time(name: 'from' | 'to'): number | undefined {
    const raw = this.params.get(name);
    if (raw === null) return undefined;
    const parsed = RFC_3339.test(raw) ? Date.parse(raw) : Number.NaN;
    if (!Number.isNaN(parsed)) return parsed;
    // An unescaped `+` of an offset arrives as a space.
    const hint = raw.includes(' ')
      ? 'write `+` as `%2B`, or use UTC: `2026-01-31T12:00:00Z`'
      : 'write it as `2026-01-31T12:00:00Z`';
    this.complain(name, `\`${clip(raw)}\` is not an RFC 3339 time`, hint);
    return undefined;
  }

  private limit(): number {
    const raw = this.params.get('limit');
    if (raw === null) return DEFAULT_PAGE_ITEMS;
    const limit = /^[0-9]{1,4}$/.test(raw) ? Number(raw) : 0;
    if (limit >= 1 && limit <= MAX_PAGE_ITEMS) return limit;
    this.complain('limit', `\`${clip(raw)}\` is not a whole number from 1 to ${MAX_PAGE_ITEMS}`);
    return DEFAULT_PAGE_ITEMS;
  }

  private unknown(name: string, known: readonly string[]): void {
    const near = nearest(name, known);
    const hint = near === undefined ? `one of ${known.join(', ')}` : `did you mean \`${near}\`?`;
    this.complain(clip(name), `unknown parameter \`${clip(name)}\``, hint);
  }

  private complain(name: string, message: string, hint?: string): void {
    this.problems.push({ pointer: `?${name}`, message, ...(hint === undefined ? {} : { hint }) });
  }
}

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

/** Undefined when the text ends within an escape. */
function splitValues(text: string): string[] | undefined {
  const values: string[] = [];
  let value = '';
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (char === '\\') {
      if (++at >= text.length) return undefined;
      value += text.charAt(at);
    } else if (char === ',') {
      values.push(value);
      value = '';
    } else {
      value += char;
    }
  }
  return [...values, value];
}

/** What a value can mean: `User:acme/alice`, as the command line writes it, is a user, or an id, which may hold colons. */
function principalReadings(value: string): string[] {
  const [, type = '', id] = /^([A-Za-z_][A-Za-z0-9_]*):(?!:)(.+)$/.exec(value) ?? [];
  return isPrincipalType(type) ? [value, `${type}::${id}`] : [normalPrincipal(value)];
}

/** `AI::User::"acme/alice"` and `User::"acme/alice"` as `User::acme/alice`, as it is indexed. */
function normalPrincipal(value: string): string {
  const parts = new RegExp(`^(?:${NAMESPACE}::)?([A-Za-z_][A-Za-z0-9_]*)::(?:"(.*)"|(.*))$`).exec(value);
  return parts === null ? value : `${parts[1]}::${parts[2] ?? parts[3]}`;
}

/** User input in a message: short, on one line. */
function clip(text: string): string {
  const line = text.replaceAll(/[^ -~]/g, '?');
  return line.length > 60 ? `${line.slice(0, 60)}…` : line;
}
