/** A few lines of test framework for tests that need a real WebGPU: results go to the runner as JSON. */
export interface Outcome {
  readonly name: string;
  readonly error?: string;
  readonly ms: number;
  readonly figures?: Record<string, unknown>;
}

const tests: { name: string; run: () => Promise<Record<string, unknown> | undefined> }[] = [];

export function test(name: string, run: () => Promise<unknown>): void {
  tests.push({ name, run: async () => ((await run()) ?? undefined) as Record<string, unknown> | undefined });
}

export function equal(actual: unknown, expected: unknown, what = "value"): void {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}: ${left?.slice(0, 2000)} instead of ${right?.slice(0, 2000)}`);
}

export function ok(condition: boolean, what: string): void {
  if (!condition) throw new Error(what);
}

/** The error that a promise is rejected with. */
export async function failure(promise: Promise<unknown>): Promise<Error & { code?: string; details?: Record<string, unknown> }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error("it should have failed");
}

export async function runTests(filter: string, report: (outcome: Outcome) => void): Promise<void> {
  for (const { name, run } of tests) {
    if (filter && !name.includes(filter)) continue;
    const started = performance.now();
    let error: string | undefined;
    let figures: Record<string, unknown> | undefined;
    try {
      const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error("no end within 20 s")), 20_000));
      figures = await Promise.race([run(), late]);
    } catch (thrown) {
      error = thrown instanceof Error ? `${thrown.message}\n${thrown.stack}` : String(thrown);
    }
    report({ name, ms: performance.now() - started, ...(error !== undefined && { error }), ...(figures && { figures }) });
  }
}
