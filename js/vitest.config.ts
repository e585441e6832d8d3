import { env } from "node:process";
import { defineConfig } from "vitest/config";

export default defineConfig({
  define: { SEED: JSON.stringify(env.WEBGPU_WIDGET_SEED ?? "") },
  test: { include: ["test/*.test.ts"], environment: "node" },
});
