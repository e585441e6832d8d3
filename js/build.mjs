// Bundle src/ into self-contained ES modules: node build.mjs [--watch]
import { mkdir, readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, context } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const folder = resolve(here, "../webgpu_widget/static");
// Explorer and shader view are widgets of their own, so that a page without them does not load them.
const modules = [
  { entry: "src/index.ts", name: "widget.js", maxGzipBytes: 120_000 },
  { entry: "src/views/mandelbrot/index.ts", name: "explorer.js", maxGzipBytes: 30_000 },
  { entry: "src/views/panel/index.ts", name: "panel.js", maxGzipBytes: 8_000 },
  { entry: "src/views/shader/index.ts", name: "shader.js", maxGzipBytes: 50_000 },
];

const shared = {
  absWorkingDir: here,
  bundle: true,
  target: "es2022",
  minify: true,
  legalComments: "inline",
  charset: "utf8",
  loader: { ".css": "text", ".wgsl": "text" },
};

/** `import text from "./x.js?worker"`: x bundled by itself, as text, to be run as a worker from a blob URL. */
const workerText = {
  name: "worker-text",
  setup(builder) {
    builder.onResolve({ filter: /\?worker$/ }, ({ path, resolveDir }) => ({
      path: resolve(resolveDir, path.replace(/\.js\?worker$/, ".ts")),
      namespace: "worker-text",
    }));
    builder.onLoad({ filter: /.*/, namespace: "worker-text" }, async ({ path }) => {
      const made = await build({ ...shared, entryPoints: [path], format: "iife", write: false, metafile: true });
      const watchFiles = Object.keys(made.metafile.inputs).map((input) => resolve(here, input));
      return { contents: made.outputFiles[0].text, loader: "text", watchFiles };
    });
  },
};

const options = ({ entry, name }) => ({
  ...shared,
  entryPoints: [entry],
  outfile: resolve(folder, name),
  format: "esm",
  plugins: [workerText],
});

await mkdir(folder, { recursive: true });
for (const module of modules) {
  if (process.argv.includes("--watch")) {
    await (await context({ ...options(module), logLevel: "info" })).watch();
    continue;
  }
  const { metafile } = await build({ ...options(module), metafile: true });
  const foreign = Object.keys(metafile.inputs).filter((path) => path.includes("node_modules"));
  if (foreign.length > 0) {
    console.error(`${module.name} has others' code, whose licences the wheel would have to carry: ${foreign.join(", ")}`);
    process.exitCode = 1;
  }
  const text = await readFile(resolve(folder, module.name));
  const gzip = gzipSync(text).byteLength;
  console.log(`webgpu_widget/static/${module.name}: ${text.byteLength} bytes, ${gzip} gzipped`);
  if (gzip > module.maxGzipBytes) {
    console.error(`more than the ${module.maxGzipBytes} bytes that it may have`);
    process.exitCode = 1;
  }
}
