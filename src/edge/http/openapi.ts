/**
 * The OpenAPI 3.1 document, made of the route table and of the zod schemas that parse. Invariant: nothing is
 * written down here that the routes do not do.
 */
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../../domain/errors.ts';
import { PROBLEM_TYPE } from './problem.ts';
import type { AnswerNote, Route } from './route.ts';

type Json = Record<string, unknown>;

const PROBLEM = { $ref: '#/components/schemas/ProblemDetails' };
const DESCRIPTION =
  'Policy decision point for AI model serving. Every error is RFC 9457 problem details; every list is ' +
  '`{items, nextCursor}`; a slash in an id is written `%2F`.';

export function describeApi(routes: readonly Route[], version: string): Json {
  const components = new Components();
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    // A part that takes the rest of the path has no notation of its own there.
    const operations = (paths[route.path.replace('*}', '}')] ??= {});
    operations[route.method.toLowerCase()] = describeOperation(route, components);
  }
  components.add('ProblemDetails', problemSchema());
  return {
    openapi: '3.1.0',
    info: {
      title: 'Duramen',
      version,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      schemas: components.sorted(),
      securitySchemes: { key: { type: 'http', scheme: 'bearer', bearerFormat: 'dmn_<id>_<secret>' } },
    },
  };
}

function describeOperation(route: Route, components: Components): Json {
  const { access, query, body } = route;
  const roles = access === 'pep' ? [access] : typeof access === 'string' ? [] : access;
  const note =
    roles.length === 0
      ? {}
      : { description: `Needs the role ${roles.map(role => `\`${role}\``).join(' or ')}.` };
  const parameters = [
    ...pathParameters(route.path),
    ...queryParameters(query, components),
    ...headers(route),
  ];
  return {
    operationId: route.operation,
    tags: [route.tag],
    summary: route.summary,
    ...note,
    security: access === 'public' ? [] : [{ key: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: requestBody(body, components) }),
    responses: { ...answers(route.answers, components), ...problems(route) },
  };
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)(\*?)\}/g)].map(([, name, rest]) => ({
    name,
    in: 'path',
    required: true,
    ...(rest === '*' ? { description: 'the rest of the path; its slashes are not percent-encoded' } : {}),
    schema: { type: 'string' },
  }));
}

function queryParameters(query: z.ZodType | undefined, components: Components): Json[] {
  if (query === undefined) return [];
  const { properties = {} } = components.schemaOf(query, 'input');
  if (!isRecord(properties)) return [];
  return Object.entries(properties).map(([name, schema]) => {
    const { description, ...rest } = isRecord(schema) ? schema : {};
    return { name, in: 'query', ...(description === undefined ? {} : { description }), schema: rest };
  });
}

function headers({ method, path, body, failures, conditions }: Route): Json[] {
  const named = (name: string, description: string) => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  });
  const found: Json[] = [];
  if (method === 'POST' && path.startsWith('/v1/') && body !== undefined && body.kind !== 'stream') {
    found.push(
      named('Idempotency-Key', 'the same key and request give the first answer again, for 24 hours'),
    );
  }
  // only these look at conditions: a header that is described and ignored would lose somebody's write
  if (failures.includes('PRECONDITION_FAILED')) {
    found.push(named('If-Match', conditions?.ifMatch ?? 'only if the object has this `ETag`'));
    if (method === 'PUT' || conditions !== undefined) {
      found.push(named('If-None-Match', conditions?.ifNoneMatch ?? '`*`: only if there is no such object'));
    }
  }
  return found;
}

function requestBody(body: NonNullable<Route['body']>, components: Components): Json {
  if (body.kind === 'json') {
    return {
      required: true,
      content: { 'application/json': { schema: components.schemaOf(body.schema, 'input') } },
    };
  }
  const content = Object.fromEntries(body.types.map(type => [type, {}]));
  return { required: true, description: body.description, content };
}

function answers(notes: Readonly<Record<number, AnswerNote>>, components: Components): Json {
  return Object.fromEntries(
    Object.entries(notes).map(([status, { description, schema, type, headers: sent }]) => {
      const note = { description, ...(sent === undefined ? {} : { headers: answerHeaders(sent) }) };
      if (schema === undefined && type === undefined) return [status, note];
      const media = schema === undefined ? {} : { schema: components.schemaOf(schema, 'output') };
      return [status, { ...note, content: { [type ?? 'application/json']: media } }];
    }),
  );
}

function answerHeaders(sent: Readonly<Record<string, string>>): Json {
  return Object.fromEntries(
    Object.entries(sent).map(([name, description]) => [name, { description, schema: { type: 'string' } }]),
  );
}

/** Failures by status; several codes can share one. */
function problems(route: Route): Json {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of [...usualFailures(route), ...route.failures]) {
    const { status } = ERROR_CODES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus]
      .filter(([status]) => route.answers[status] === undefined)
      .map(([status, codes]) => [
        status,
        {
          description: codes.map(code => `\`${code}\`: ${ERROR_CODES[code].title}`).join('; '),
          content: { [PROBLEM_TYPE]: { schema: PROBLEM } },
        },
      ]),
  );
}

function usualFailures({ access, body }: Route): ErrorCode[] {
  const found: ErrorCode[] = ['INVALID_REQUEST'];
  if (access !== 'public') found.push('CREDENTIAL_REQUIRED', 'TOO_MANY_FAILED_AUTHENTICATIONS');
  if (access !== 'public') found.push('ROLE_REQUIRED');
  if (body !== undefined) found.push('PAYLOAD_TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE');
  return [...found, 'INTERNAL_ERROR'];
}

function problemSchema(): Json {
  const text = { type: 'string' };
  const place = { type: 'integer', minimum: 1 };
  return {
    type: 'object',
    description: 'RFC 9457 problem details',
    required: ['type', 'title', 'status', 'code', 'detail', 'errors', 'requestId'],
    properties: {
      type: { type: 'string', description: 'path of this service that explains the problem' },
      title: text,
      status: { type: 'integer' },
      code: { enum: Object.keys(ERROR_CODES) },
      detail: text,
      errors: {
        type: 'array',
        items: {
          type: 'object',
          required: ['message'],
          properties: {
            pointer: {
              type: 'string',
              description: 'RFC 6901 pointer into the body, or `?name` of a parameter',
            },
            file: text,
            line: place,
            column: place,
            message: text,
            hint: text,
          },
        },
      },
      requestId: text,
    },
  };
}

/** Schemas with a name, each once. */
class Components {
  readonly #schemas = new Map<string, Json>();

  /** The schema, with its named parts as references. */
  schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
    const {
      $defs,
      $schema: _,
      ...root
    } = z.toJSONSchema(schema, { io, unrepresentable: 'any', cycles: 'ref' });
    for (const [name, part] of Object.entries($defs ?? {}))
      this.add(publicName(name), withoutId(relocate(part)));
    const id = root.id;
    const relocated = withoutId(relocate(root));
    if (typeof id !== 'string') return relocated;
    this.add(id, relocated);
    return { $ref: `#/components/schemas/${id}` };
  }

  /** @throws Error when a name stands for two different schemas. */
  add(name: string, schema: Json): void {
    const known = this.#schemas.get(name);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(schema)) {
      throw new Error(`the schema name \`${name}\` stands for two schemas`);
    }
    this.#schemas.set(name, schema);
  }

  sorted(): Json {
    return Object.fromEntries([...this.#schemas].sort(([left], [right]) => (left < right ? -1 : 1)));
  }
}

/** What zod calls its recursive `z.json()`, which has no name of its own. */
const ANONYMOUS = '__schema0';

function publicName(name: string): string {
  return name === ANONYMOUS ? 'JsonValue' : name;
}

/** References into `$defs` become references into the components. */
function relocate(schema: unknown): Json {
  const text = JSON.stringify(schema)
    .replaceAll(`"#/$defs/${ANONYMOUS}"`, `"#/$defs/${publicName(ANONYMOUS)}"`)
    .replaceAll('"#/$defs/', '"#/components/schemas/');
  const copy: unknown = JSON.parse(text);
  return isRecord(copy) ? copy : {};
}

function withoutId(schema: Json): Json {
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== 'id'));
}

function isRecord(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
