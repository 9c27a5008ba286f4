/** Fills a running service through its own API: bundles, directory, keys. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { RunningService } from './process.ts';
import { entities, tenantName, tenantPolicies, type WorldSize } from './world.ts';

const keyAnswer = z.object({ key: z.string() });
const bundleAnswer = z.object({ digest: z.string() });

/** Calls the admin API; a status of 400 or more throws with the problem. */
export async function call(
  service: RunningService,
  method: string,
  path: string,
  body: string,
  contentType = 'application/json',
): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${service.port}${path}`, {
    method,
    headers: { authorization: `Bearer ${service.adminKey}`, 'content-type': contentType },
    body,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 2000)}`);
  return contentType === 'application/json' ? JSON.parse(text) : text;
}

/** Pushes and activates the platform layer and every tenant's, imports the directory, returns a pep key. */
export async function fill(service: RunningService, size: WorldSize): Promise<string> {
  await call(service, 'POST', '/v1/bundles?activate=true', JSON.stringify(platformBundle()));
  const lines: string[] = [];
  for (const entity of entities(size)) lines.push(JSON.stringify(entity));
  await call(service, 'POST', '/v1/directory/import', `${lines.join('\n')}\n`, 'application/x-ndjson');
  const perTenant = Math.floor(size.policies / size.tenants);
  for (let t = 0; t < size.tenants; t++) {
    await call(
      service,
      'POST',
      '/v1/bundles?activate=true',
      JSON.stringify(tenantBundle(tenantName(t), perTenant, '1')),
    );
  }
  return keyAnswer.parse(await call(service, 'POST', '/v1/keys', JSON.stringify({ roles: ['pep'] }))).key;
}

/** Stages a bundle and returns its digest. */
export async function stage(service: RunningService, tenant: string, policies: number): Promise<string> {
  const bundle = tenantBundle(tenant, policies, `${policies}`);
  return bundleAnswer.parse(await call(service, 'POST', '/v1/bundles', JSON.stringify(bundle))).digest;
}

/** A tenant's bundle in the JSON form. */
function tenantBundle(tenant: string, policies: number, version: string): unknown {
  return {
    manifest: { layer: `tenant:${tenant}`, version, description: 'benchmark' },
    files: { 'policies/grants.cedar': tenantPolicies(tenant, policies).join('\n\n') },
  };
}

/** The shipped platform bundle, without its tests, which need the shipped directory. */
export function platformBundle(): {
  readonly manifest: unknown;
  readonly files: Readonly<Record<string, string>>;
} {
  const root = fileURLToPath(new URL('../policies/platform', import.meta.url));
  const files: Record<string, string> = {};
  for (const path of walk(`${root}/policies`))
    files[path.slice(root.length + 1)] = readFileSync(path, 'utf8');
  const manifest: unknown = JSON.parse(readFileSync(`${root}/manifest.json`, 'utf8'));
  return { manifest, files };
}

function walk(folder: string): string[] {
  return readdirSync(folder).flatMap(name => {
    const path = `${folder}/${name}`;
    return statSync(path).isDirectory() ? walk(path) : [path];
  });
}
