/**
 * Routes of exports: how far copies of the log have come. Invariant: retention removes no entry that an export has
 * not acknowledged, so making and removing one is for those who see the whole log, and is logged.
 */
import { z } from 'zod';
import { timestamp } from '../../domain/clock.ts';
import type { LogExport } from '../../decision-log/ports.ts';
import { AppError } from '../../domain/errors.ts';
import { type Route, route } from '../http/route.ts';
import { invalidRequest } from '../http/validation.ts';
import { requireWholeLog } from './log-tree.ts';

const NAME = /^[A-Za-z0-9._-]{1,64}$/;

const exportSchema = z
  .strictObject({
    name: z.string(),
    acknowledged: z.int().meta({ description: 'leaves that the copy holds, from the first on' }),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .meta({ id: 'LogExport' });

const acknowledgementSchema = z
  .strictObject({ acknowledged: z.int().min(0) })
  .meta({ id: 'LogExportAcknowledgement' });

export function logExportRoutes(): readonly Route[] {
  return [listExports(), getExport(), putExport(), deleteExport()];
}

function listExports(): Route {
  return route({
    method: 'GET',
    path: '/v1/log/exports',
    operation: 'listLogExports',
    tag: 'log',
    summary: 'Exports by name; each holds retention back',
    access: ['auditor'],
    answers: { 200: { description: 'exports', schema: z.strictObject({ items: z.array(exportSchema) }) } },
    failures: ['TENANT_NOT_ALLOWED'],
    async handle({ services, credential }) {
      requireWholeLog(credential);
      return { status: 200, json: { items: (await services.exports.list()).map(shown) } };
    },
  });
}

function getExport(): Route {
  return route({
    method: 'GET',
    path: '/v1/log/exports/{name}',
    operation: 'getLogExport',
    tag: 'log',
    summary: 'How far one export has come',
    access: ['auditor'],
    answers: { 200: { description: 'the export', schema: exportSchema } },
    failures: ['NOT_FOUND', 'TENANT_NOT_ALLOWED'],
    async handle({ services, credential, param }) {
      requireWholeLog(credential);
      const name = checkedName(param('name'));
      const found = (await services.exports.list()).find(one => one.name === name);
      if (found === undefined) throw unknown(name);
      return { status: 200, json: shown(found) };
    },
  });
}

function putExport(): Route {
  return route({
    method: 'PUT',
    path: '/v1/log/exports/{name}',
    operation: 'putLogExport',
    tag: 'log',
    summary: 'Say how far an export has come; makes it the first time',
    access: ['auditor'],
    body: { kind: 'json', schema: acknowledgementSchema },
    answers: { 200: { description: 'the export', schema: exportSchema } },
    failures: ['TENANT_NOT_ALLOWED', 'LOG_UNAVAILABLE', 'LOG_BACKPRESSURE'],
    async handle({ services, credential, param, body: { acknowledged } }) {
      requireWholeLog(credential);
      const name = checkedName(param('name'));
      const size = services.status.logSize();
      if (acknowledged > size) {
        const message = `the log has ${size} leaves, fewer than ${acknowledged}`;
        throw invalidRequest([{ pointer: '/acknowledged', message }]);
      }
      return { status: 200, json: shown(await services.exports.acknowledge(name, acknowledged, credential)) };
    },
  });
}

function deleteExport(): Route {
  return route({
    method: 'DELETE',
    path: '/v1/log/exports/{name}',
    operation: 'deleteLogExport',
    tag: 'log',
    summary: 'Forget an export, so that it no longer holds retention back',
    access: ['auditor'],
    answers: { 204: { description: 'it is forgotten' } },
    failures: ['NOT_FOUND', 'TENANT_NOT_ALLOWED', 'LOG_UNAVAILABLE', 'LOG_BACKPRESSURE'],
    async handle({ services, credential, param }) {
      requireWholeLog(credential);
      const name = checkedName(param('name'));
      if (!(await services.exports.remove(name, credential))) throw unknown(name);
      return { status: 204 };
    },
  });
}

function checkedName(name: string): string {
  if (NAME.test(name)) return name;
  throw new AppError(
    'INVALID_REQUEST',
    'the name of an export has 1 to 64 characters out of letters, digits, `.`, `_` and `-`',
  );
}

function unknown(name: string): AppError {
  return new AppError('NOT_FOUND', `there is no export \`${name}\``);
}

function shown({ name, acknowledged, createdAt, updatedAt }: LogExport) {
  return { name, acknowledged, createdAt: timestamp(createdAt), updatedAt: timestamp(updatedAt) };
}
