// Bundle src/ into one self-contained ES module: node build.mjs [--watch]
import { mkdir, readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, context } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const outfile = resolve(here, "../webgpu_widget/static/widget.js");
const MAX_GZIP_BYTES = 120_000;

/** `import text from "./x.js?worker"`: x bundled by itself, as text, to be run as a worker from a blob URL. */
const workerText = {
  name: "worker-text",
  setup(builder) {
    builder.onResolve({ filter: /\?worker$/ }, ({ path, resolveDir }) => ({
      path: resolve(resolveDir, path.replace(/\.js\?worker$/, ".ts")),
      namespace: "worker-text",
    }));
    builder.onLoad({ filter: /.*/, namespace: "worker-text" }, async ({ path }) => {
      const { entryPoints, outfile, plugins, ...shared } = options;
      const made = await build({ ...shared, entryPoints: [path], format: "iife", write: false, metafile: true });
      const watchFiles = Object.keys(made.metafile.inputs).map((input) => resolve(here, input));
      return { contents: made.outputFiles[0].text, loader: "text", watchFiles };
    });
  },
};

const options = {
  absWorkingDir: here,
  entryPoints: ["src/index.ts"],
  outfile,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "inline",
  charset: "utf8",
  plugins: [workerText],
};

await mkdir(dirname(outfile), { recursive: true });
if (process.argv.includes("--watch")) {
  await (await context({ ...options, logLevel: "info" })).watch();
} else {
  await build(options);
  const text = await readFile(outfile);
  const gzip = gzipSync(text).byteLength;
  console.log(`webgpu_widget/static/widget.js: ${text.byteLength} bytes, ${gzip} gzipped`);
  if (gzip > MAX_GZIP_BYTES) {
    console.error(`more than the ${MAX_GZIP_BYTES} bytes that it may have`);
    process.exitCode = 1;
  }
}
