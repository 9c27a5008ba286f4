/** The world of the benchmark: tenants, policies, entities and requests of the asked sizes, from one seed. */
import type { JsonObject } from '../src/domain/json.ts';
import { seeded, zipf } from './random.ts';

export interface WorldSize {
  readonly tenants: number;
  /** Policies of all tenants together, the platform layer aside. */
  readonly policies: number;
  readonly principals: number;
  readonly models: number;
}

export interface BenchEntity {
  readonly type: string;
  readonly id: string;
  readonly attributes: JsonObject;
  readonly parents: readonly { readonly type: string; readonly id: string }[];
}

/** Model groups and teams per tenant: how many distinct literals the policies of a tenant can name. */
const GROUPS = 8;
export const TEAMS = 12;
const OPERATIONS = ['generate', 'embed', 'classify', 'predict'] as const;

export function tenantName(position: number): string {
  return `t${position}`;
}

/** Every entity, groups first. */
export function* entities(size: WorldSize): Generator<BenchEntity> {
  for (let t = 0; t < size.tenants; t++) {
    const tenant = tenantName(t);
    yield {
      type: 'Tenant',
      id: tenant,
      attributes: { tenant, sharedWith: [], plan: 'standard' },
      parents: [],
    };
    for (let g = 0; g < GROUPS; g++) {
      yield {
        type: 'ModelGroup',
        id: `${tenant}/g${g}`,
        attributes: {},
        parents: [{ type: 'Tenant', id: tenant }],
      };
    }
    for (let g = 0; g < TEAMS; g++) {
      yield {
        type: 'Team',
        id: `${tenant}/team${g}`,
        attributes: {},
        parents: [{ type: 'Tenant', id: tenant }],
      };
    }
  }
  for (let m = 0; m < size.models; m++) {
    const tenant = tenantName(m % size.tenants);
    const attributes = {
      org: `${tenant}/eu/ml`,
      stage: 'production',
      risk: m % 4,
      tiers: ['gold', 'standard'],
      contextWindow: 128_000,
      maxOutputTokens: 8_192,
    };
    yield {
      type: 'Model',
      id: modelName(m, size),
      attributes,
      parents: [{ type: 'ModelGroup', id: `${tenant}/g${Math.floor(m / size.tenants) % GROUPS}` }],
    };
  }
  for (let p = 0; p < size.principals; p++) {
    const tenant = tenantName(p % size.tenants);
    const own = Math.floor(p / size.tenants);
    yield {
      type: 'User',
      id: principalName(p, size),
      attributes: {
        actsFor: [],
        org: `${tenant}/eu/ml`,
        tier: own % 3 === 0 ? 'gold' : 'standard',
        clearance: own % 5,
      },
      parents: [
        { type: 'Team', id: `${tenant}/team${own % TEAMS}` },
        { type: 'Role', id: `${tenant}/role${own % 7}` },
        { type: 'Tenant', id: tenant },
      ],
    };
  }
}

export function modelName(position: number, size: WorldSize): string {
  return `${tenantName(position % size.tenants)}/m${Math.floor(position / size.tenants)}`;
}

export function principalName(position: number, size: WorldSize): string {
  return `${tenantName(position % size.tenants)}/u${Math.floor(position / size.tenants)}`;
}

/**
 * The policy texts of one tenant. The first is the membership permit; then permits by team, role and condition
 * over groups and single models, and one forbid in ten. Names beyond the tenant's own teams belong to teams
 * that nobody is in, as policies pile up in real tenants.
 */
export function tenantPolicies(tenant: string, count: number): string[] {
  const texts = [
    `@id("${tenant}.members")\n@reason("members may use their own tenant")\npermit (principal in AI::Tenant::"${tenant}", action == AI::Action::"useTenant", resource == AI::Tenant::"${tenant}");`,
  ];
  for (let p = 1; p < count; p++) texts.push(tenantPolicy(tenant, p));
  return texts;
}

function tenantPolicy(tenant: string, p: number): string {
  const team = p <= TEAMS ? `team${p - 1}` : `team${p}`;
  const group = `g${p % GROUPS}`;
  const head = `@id("${tenant}.p${p}")\n@reason("grant ${p} of ${tenant}")\n`;
  if (p % 10 === 9) {
    return `${head}forbid (principal in AI::Team::"${tenant}/${team}", action in AI::Action::"Inference", resource in AI::ModelGroup::"${tenant}/${group}")\nwhen { context.input.tokens > 100000 && principal.clearance < resource.risk };`;
  }
  if (p % 3 === 0) {
    return `${head}permit (principal in AI::Team::"${tenant}/${team}", action in AI::Action::"Use", resource in AI::ModelGroup::"${tenant}/${group}")\nwhen { resource.tiers.contains(principal.tier) && principal.clearance >= resource.risk };`;
  }
  if (p % 3 === 1) {
    return `${head}permit (principal in AI::Team::"${tenant}/${team}", action in AI::Action::"Use", resource in AI::Tenant::"${tenant}")\nwhen { principal.org like "${tenant}/*" && context.env == "production" };`;
  }
  return `${head}permit (principal in AI::Role::"${tenant}/role${p}", action == AI::Action::"generate", resource == AI::Model::"${tenant}/m${p}");`;
}

/** Request bodies of POST /decide: Zipf principals and models, every context fresh. */
export function requests(size: WorldSize, count: number, seed: number): string[] {
  const random = seeded(seed);
  const principal = zipf(size.principals, random);
  const modelsPerTenant = Math.max(1, Math.floor(size.models / size.tenants));
  const model = zipf(modelsPerTenant, random);
  const bodies: string[] = [];
  for (let n = 0; n < count; n++) {
    const p = principal();
    const tenant = tenantName(p % size.tenants);
    const tokens = Math.floor(random() * 4000);
    bodies.push(
      JSON.stringify({
        principal: { type: 'User', id: principalName(p, size) },
        action: OPERATIONS[Math.floor(random() * OPERATIONS.length)],
        resource: { type: 'Model', id: `${tenant}/m${model()}` },
        tenant,
        input: {
          classes: ['text'],
          modality: 'text',
          tokens,
          hash: `sha256:${n.toString(16).padStart(64, '0')}`,
        },
        params: { maxOutputTokens: 256, stream: n % 2 === 0 },
        context: { env: 'production', ip: `10.${n % 256}.${(n >> 8) % 256}.${tokens % 256}`, region: 'eu' },
        auth: { method: 'jwt', assurance: 2, scopes: ['model:invoke'] },
      }),
    );
  }
  return bodies;
}
