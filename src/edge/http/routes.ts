/** Every route of the service: the table from which the application and the OpenAPI document are made. */
import { accessRoutes } from '../admin/access.ts';
import { auditRoutes } from '../admin/audit.ts';
import { bundleRoutes } from '../admin/bundles.ts';
import { callerKeyLeakRoutes } from '../admin/caller-key-leaks.ts';
import { callerKeySelfRoutes } from '../admin/caller-key-self.ts';
import { callerKeyRoutes } from '../admin/caller-keys.ts';
import { decisionRoutes } from '../admin/decisions.ts';
import { directoryRoutes } from '../admin/directory.ts';
import { importRoutes } from '../admin/directory-import.ts';
import { keyRoutes } from '../admin/keys.ts';
import { loadRoutes } from '../admin/load.ts';
import { limitUsageRoutes } from '../admin/limit-usage.ts';
import { limitRoutes } from '../admin/limits.ts';
import { logExportRoutes } from '../admin/log-exports.ts';
import { logTreeRoutes } from '../admin/log-tree.ts';
import { operationRoutes } from '../admin/operations.ts';
import { penaltyRoutes } from '../admin/penalties.ts';
import { pepProfileRoutes } from '../admin/pep-profiles.ts';
import { outcomeRoutes } from '../admin/outcomes.ts';
import { revocationRoutes } from '../admin/revocations.ts';
import { extAuthzRoutes } from '../ext-authz/routes.ts';
import { decideRoutes } from './decide-routes.ts';
import { describeApi } from './openapi.ts';
import type { Route } from './route.ts';

/** @param version of this build, for the document. */
export function makeRoutes(version: string): readonly Route[] {
  const routes: Route[] = [
    ...decideRoutes(),
    ...extAuthzRoutes(),
    ...pepProfileRoutes(),
    ...directoryRoutes(),
    ...importRoutes(),
    ...accessRoutes(),
    ...bundleRoutes(),
    ...keyRoutes(),
    ...callerKeyRoutes(),
    ...callerKeyLeakRoutes(),
    ...callerKeySelfRoutes(),
    ...revocationRoutes(),
    ...penaltyRoutes(),
    ...loadRoutes(),
    ...decisionRoutes(),
    ...outcomeRoutes(),
    ...limitRoutes(),
    ...limitUsageRoutes(),
    ...auditRoutes(),
    ...logTreeRoutes(),
    ...logExportRoutes(),
  ];
  let text: string | undefined;
  routes.push(
    ...operationRoutes(() => {
      text ??= openApiText(routes, version);
      return text;
    }),
  );
  return routes;
}

/** The document as it is served and committed. */
export function openApiText(routes: readonly Route[], version: string): string {
  return `${JSON.stringify(describeApi(routes, version), null, 2)}\n`;
}
