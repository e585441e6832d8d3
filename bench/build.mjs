// Bundles the page of a bench and its peers: node build.mjs FOLDER [peers|fft]
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const folder = process.argv[2] ?? join(here, "dist");
const page = process.argv[3] ?? "peers";
mkdirSync(join(folder, "ort"), { recursive: true });
await build({ entryPoints: [join(here, `page/${page}.src.js`)], bundle: true, format: "esm", minify: true, outfile: join(folder, `${page}.js`), define: { "process.env.NODE_ENV": '"production"' }, logLevel: "warning" });
writeFileSync(join(folder, "index.html"), `<!doctype html>\n<meta charset="utf-8">\n<title>webgpu_widget bench: ${page}</title>\n<script type="module" src="${page}.js"></script>\n`);
if (page === "peers") for (const file of ["ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm"]) copyFileSync(join(here, "node_modules/onnxruntime-web/dist", file), join(folder, "ort", file));
