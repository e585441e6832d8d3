import { defineConfig } from "vitest/config";

const { WEBGPU_WIDGET_SEED = "", WEBGPU_WIDGET_FUZZ_RUNS = "" } = (globalThis as { process?: { env: Record<string, string> } }).process?.env ?? {};

export default defineConfig({
  // The bundle has the engine's own shaders as text.
  plugins: [{ name: "wgsl", enforce: "pre", transform: (code, id) => (id.endsWith(".wgsl") ? `export default ${JSON.stringify(code)}` : undefined) }],
  define: { SEED: JSON.stringify(WEBGPU_WIDGET_SEED), FUZZ_RUNS: JSON.stringify(WEBGPU_WIDGET_FUZZ_RUNS) },
  // The package's entry for Node is CommonJS under an ES module's name.
  resolve: { alias: { wgsl_reflect: new URL("./node_modules/wgsl_reflect/wgsl_reflect.module.js", import.meta.url).pathname } },
  test: {
    include: ["test/*.test.ts"],
    environment: "node",
    testTimeout: WEBGPU_WIDGET_FUZZ_RUNS ? 600_000 : 60_000,
    server: { deps: { inline: ["wgsl_reflect"] } },
  },
});
