// Run the tests that need WebGPU in a headless Chromium: node test/gpu/run.mjs [name filter] [--bench]
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const bench = args.includes("--bench");
const filter = args.find((arg) => !arg.startsWith("--")) ?? "";
const limitMs = Number(process.env.LIMIT_S ?? 240) * 1000;
const chromium = process.env.WEBGPU_WIDGET_BROWSER ?? "chromium";
const flags = (process.env.CHROMIUM_FLAGS ?? "--headless --no-sandbox --enable-unsafe-webgpu").split(/\s+/);

const suffix = bench ? ".bench.ts" : ".gpu.ts";
const files = (await readdir(here)).filter((file) => file.endsWith(suffix)).sort();
const bundle = await build({
  stdin: {
    contents: `${files.map((file) => `import "./${file}";`).join("\n")}
import { runTests } from "./harness.ts";
const post = (path, body) => fetch(path, { method: "POST", body: JSON.stringify(body) });
const reports = [];
runTests(${JSON.stringify(filter)}, (outcome) => reports.push(post("/outcome", outcome))).then(() => Promise.all(reports)).then(() => post("/done", {}));`,
    resolveDir: here,
  },
  bundle: true,
  format: "esm",
  write: false,
  sourcemap: "inline",
});
const script = bundle.outputFiles[0].text;

let failed = 0;
let passed = 0;
const finished = Promise.withResolvers
  ? Promise.withResolvers()
  : (() => {
      const made = {};
      made.promise = new Promise((res, rej) => Object.assign(made, { resolve: res, reject: rej }));
      return made;
    })();
const server = createServer((request, response) => {
  if (request.method === "POST") {
    let body = "";
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => {
      response.writeHead(204).end();
      if (request.url === "/done") return finished.resolve();
      const { name, error, ms, figures } = JSON.parse(body);
      if (error === undefined) passed++;
      else failed++;
      console.log(
        `${error === undefined ? "ok  " : "FAIL"} ${name} (${ms.toFixed(0)} ms)${figures ? ` ${JSON.stringify(figures)}` : ""}${error === undefined ? "" : `\n     ${error.replaceAll("\n", "\n     ")}`}`,
      );
    });
    return;
  }
  const [type, text] =
    request.url === "/test.js"
      ? ["text/javascript", script]
      : ["text/html", '<!doctype html><meta charset="utf-8"><body><script type="module" src="/test.js"></script>'];
  response.writeHead(200, { "content-type": type, "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" }).end(text);
});
server.listen(0, "127.0.0.1");
await new Promise((listening) => server.once("listening", listening));
const profile = await mkdtemp(join(tmpdir(), "webgpu-widget-"));
const env = { ...process.env, ...(process.env.CHROMIUM_LIBRARY_PATH && { LD_LIBRARY_PATH: process.env.CHROMIUM_LIBRARY_PATH }) };
const browser = spawn(
  chromium,
  [
    ...flags,
    "--no-first-run",
    "--disable-background-networking",
    "--enable-logging=stderr",
    `--user-data-dir=${profile}`,
    `http://127.0.0.1:${server.address().port}/`,
  ],
  {
    stdio: ["ignore", "ignore", "pipe"],
    env,
  },
);
let log = "";
browser.stderr.on("data", (part) => {
  log = (log + part).slice(-20000);
});
browser.on("exit", (code) => finished.reject(new Error(`Chromium ended with ${code}`)));
const timer = setTimeout(() => finished.reject(new Error("no end in time")), limitMs);
try {
  await finished.promise;
} catch (error) {
  failed++;
  console.error(
    String(error),
    log
      .split("\n")
      .filter((line) => !/dbus|gcm/i.test(line))
      .slice(-30)
      .join("\n"),
  );
}
clearTimeout(timer);
browser.removeAllListeners("exit");
const gone = new Promise((exited) => browser.once("exit", exited));
browser.kill();
await gone;
server.close();
await rm(resolve(profile), { recursive: true, force: true, maxRetries: 5 });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
