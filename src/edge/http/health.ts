/**
 * Whether the service can do its job, as a list of named checks. Invariant: `ready` is the conjunction of the
 * checks; a check that throws has failed.
 */

/** What one check found. */
export interface CheckResult {
  readonly name: string;
  readonly ok: boolean;
  /** One sentence: what is wrong and what to do, or how things stand. */
  readonly detail: string;
  /** Reported, but no reason to stop sending traffic. */
  readonly advisory?: boolean;
}

/** One check. Quick, without I/O that could block: probes come every few seconds. */
export interface HealthCheck {
  readonly name: string;
  readonly advisory?: boolean;
  /** @returns undefined when all is well, else what is wrong. */
  readonly problem: () => string | undefined;
  /** How things stand when all is well; `ok` without it. */
  readonly detail?: () => string;
}

export class Health {
  readonly #checks: readonly HealthCheck[];
  #closing = false;

  constructor(checks: readonly HealthCheck[]) {
    this.#checks = checks;
  }

  /** From now on not ready: the service is shutting down. */
  beginShutdown(): void {
    this.#closing = true;
  }

  report(): { readonly ready: boolean; readonly checks: readonly CheckResult[] } {
    const checks = this.#checks.map(runCheck);
    if (this.#closing) checks.push({ name: 'lifecycle', ok: false, detail: 'the service is shutting down' });
    return { ready: checks.every(({ ok, advisory }) => ok || advisory === true), checks };
  }
}

function runCheck({ name, advisory, problem, detail }: HealthCheck): CheckResult {
  const found = attempt(problem);
  const result = { name, ok: found === undefined, detail: found ?? detail?.() ?? 'ok' };
  return advisory === true ? { ...result, advisory } : result;
}

function attempt(problem: () => string | undefined): string | undefined {
  try {
    return problem();
  } catch {
    return 'the check failed';
  }
}
