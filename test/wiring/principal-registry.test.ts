/** Principals of issuers in the directory: what others write of them meanwhile stays as they wrote it. */
import { beforeEach, expect, test } from 'vitest';
import { DirectoryRegistry } from '../../src/wiring/principal-registry.ts';
import {
  ADMIN,
  openDirectory,
  shippedParser,
  type TestDirectory,
  tenant,
  user,
} from '../directory/directory-fixture.ts';
import { ref } from '../directory/graph-edits.ts';

const parser = shippedParser();
const ALICE = ref('User/acme/alice');
let directory: TestDirectory;
let registry: DirectoryRegistry;

beforeEach(async () => {
  directory = await openDirectory(parser);
  registry = new DirectoryRegistry(directory.service);
  await directory.service.put(ref('Tenant/acme'), tenant(), ADMIN);
  await directory.service.put(
    ALICE,
    user({ parents: ['Tenant/acme', 'Team/acme/fraud', 'Role/acme/old'] }),
    ADMIN,
  );
});

const parents = () => directory.service.get(ALICE, ADMIN).parents;

test('new roles leave the other parents', async () => {
  await registry.setRoles(ALICE, ['acme/new'], 'idp');
  expect(parents()).toEqual([ref('Role/acme/new'), ref('Team/acme/fraud'), ref('Tenant/acme')]);
});

test('new roles do not bring back a team that is taken away meanwhile', async () => {
  const withoutTeam = { parents: [ref('Tenant/acme'), ref('Role/acme/old')] };
  await Promise.all([
    directory.service.patch(ALICE, withoutTeam, ADMIN),
    registry.setRoles(ALICE, ['acme/new'], 'idp'),
  ]);
  expect(parents()).toEqual([ref('Role/acme/new'), ref('Tenant/acme')]);
});
