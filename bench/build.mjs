// Bundles the peers' page: node build.mjs FOLDER
import { copyFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const folder = process.argv[2] ?? join(here, "dist");
mkdirSync(join(folder, "ort"), { recursive: true });
await build({ entryPoints: [join(here, "page/peers.src.js")], bundle: true, format: "esm", minify: true, outfile: join(folder, "peers.js"), define: { "process.env.NODE_ENV": '"production"' }, logLevel: "warning" });
copyFileSync(join(here, "page/peers.html"), join(folder, "index.html"));
for (const file of ["ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm"]) copyFileSync(join(here, "node_modules/onnxruntime-web/dist", file), join(folder, "ort", file));
