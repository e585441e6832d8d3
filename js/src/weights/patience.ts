/**
 * Promises of the browser that may never settle.
 *
 * About one in 2,000 calls of `createSyncAccessHandle()` (Chromium 156, busy machine) neither resolves nor rejects. It seems to be collected while it is
 * pending: held until it settles, it was not seen again. So what is waited for is held here, and waited for so long and no longer.
 */
import { LoadError } from "./errors.js";

/** How long the browser's storage may take for one step. */
export const STORAGE_MS = 5000;
/** How long another thread may take to hash one chunk. */
export const HASH_MS = 30_000;

/** Something did not come in time. */
export class Stalled extends LoadError {
  constructor(what: string, ms: number) {
    super("weights", `${what} has not answered for ${ms / 1000} s`);
    this.name = "Stalled";
  }
}

const held = new Set<Promise<unknown>>();

/** Wait for `work`, which `what` does, for at most `ms`; `late` gets rid of what comes after that. */
export function patient<T>(work: Promise<T>, what: string, ms: number, late?: (value: T) => void): Promise<T> {
  held.add(work);
  return new Promise((resolve, reject) => {
    let over = false;
    const timer = setTimeout(() => {
      over = true;
      reject(new Stalled(what, ms));
    }, ms);
    const settle = (): void => {
      clearTimeout(timer);
      held.delete(work);
    };
    work.then(
      (value) => {
        settle();
        if (over) late?.(value);
        else resolve(value);
      },
      (error: unknown) => {
        settle();
        reject(error);
      },
    );
  });
}

/** Wait for a step of the browser's storage. */
export function stored<T>(work: Promise<T>, late?: (value: T) => void): Promise<T> {
  return patient(work, "the browser's storage", STORAGE_MS, late);
}

/** The same, for each step of a listing. */
export async function* storedEach<T>(steps: AsyncIterable<T>): AsyncGenerator<T> {
  const iterator = steps[Symbol.asyncIterator]();
  for (let step = await stored(iterator.next()); !step.done; step = await stored(iterator.next())) yield step.value;
}
