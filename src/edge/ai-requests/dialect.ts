/**
 * A row of the closed table: one kind of request, how its path looks and how its body is read. Invariant: what
 * no row describes is not understood; a row says where its models stand, and nothing else is taken for one.
 */
import type { JsonObject } from '../../domain/json.ts';
import type { InputClass, Operation } from './ai-request.ts';
import type { Facts } from './facts.ts';
import type { HeaderList } from './header-list.ts';
import type { FormPart } from './multipart.ts';

/** What a request says beside its path and its body. */
export interface RequestHead {
  readonly headers: HeaderList;
  /** Names and values of the query, decoded, in order. */
  readonly parameters: readonly (readonly [name: string, value: string])[];
}

/** Reads a JSON body whose top-level keys were checked. */
export type BodyReader = (body: JsonObject, facts: Facts) => void;

/**
 * How a body is read. `none`: it has no meaning. `empty`: there must be none. `opaque`: no model, tool or parameter
 * stands in it.
 */
type RowBody =
  | { readonly kind: 'json'; readonly read: BodyReader }
  | { readonly kind: 'form'; readonly read: (parts: readonly FormPart[], facts: Facts) => void }
  | { readonly kind: 'bytes'; readonly read: (bytes: Uint8Array, facts: Facts, headers: HeaderList) => void }
  | { readonly kind: 'opaque' }
  | { readonly kind: 'empty' }
  | { readonly kind: 'none' };

export interface DialectRow {
  /** `<family>.<row>` */
  readonly dialect: string;
  readonly methods: readonly string[];
  /** `/v1/models/{model}:predict`: a part in braces takes a piece of one segment. */
  readonly path: string;
  readonly operation: Operation;
  readonly body: RowBody;
  /** The name of the model, made of parts of the path; absent: the body, the query or a header names it. */
  readonly model?: string;
  /** Other spellings of that name which bodies use for the same model. */
  readonly spellings?: readonly string[];
  /** Top-level keys of the body that name models, and are read as such by the row's reader. */
  readonly modelKeys?: readonly string[];
  /** Whether the path alone makes it a stream. */
  readonly stream?: boolean;
  /** What a part of the path must look like, and what is said of one that does not. */
  readonly partRules?: Readonly<Record<string, readonly [form: RegExp, message: string]>>;
  /**
   * Headers that select a part of the named model, and what stands before their value: both are appended after a slash. A
   * value that begins like another kind is refused.
   */
  readonly selectors?: Readonly<Record<string, string>>;
  /** Query parameters, as they are written, in which the upstream reads the model. */
  readonly parameters?: readonly string[];
  /** Reads what the upstream takes from headers and query, models aside. */
  readonly readHead?: (head: RequestHead, facts: Facts) => void;
  /** Query parameters by which the upstream does something else than the row says. */
  readonly refusedParameters?: readonly string[];
  /** The request may turn the connection into one for web sockets, over which no further request is decided. */
  readonly takesWebSocket?: boolean;
  /**
   * The body names a model that the upstream does not read. `ignored`: by convention, so that it may be any; `mentioned`:
   * a client that names one means the model of the route.
   */
  readonly bodyModel?: 'ignored' | 'mentioned';
  /** What clients write for the model where a server has only one. */
  readonly anyModels?: readonly string[];
  /** Classes of the input that come with every such request, whatever its body shows. */
  readonly classes?: readonly InputClass[];
  /** A known kind of request that cannot be decided, and why. */
  readonly hides?: string;
}

/** Values of the parts in braces, decoded. */
export type PathParts = ReadonlyMap<string, string>;

/** Puts path parts into a template such as `{model}@{version}`. */
export function fillTemplate(template: string, parts: PathParts): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => parts.get(name) ?? '');
}
