/** Error scopes of a device, balanced whatever happens between. */

/**
 * Do something inside error scopes, which are closed when it returns or throws.
 *
 * @returns what it made, and the first error that WebGPU found in it, which is known later
 */
export function scoped<Made>(
  device: GPUDevice,
  filters: readonly GPUErrorFilter[],
  make: () => Made,
): { readonly made: Made; readonly error: Promise<GPUError | null> } {
  let errors: Promise<GPUError | null>[];
  for (const filter of filters) device.pushErrorScope(filter);
  let made: Made;
  try {
    made = make();
  } finally {
    // A scope is refused only when the device is lost, which has its own way to Python.
    errors = filters.map(() => device.popErrorScope().catch(() => null));
  }
  return { made, error: Promise.all(errors).then((found) => found.find((error) => error !== null) ?? null) };
}
