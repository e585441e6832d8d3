// Run the tests that need WebGPU, each file in a headless Chromium of its own: node test/gpu/run.mjs [name filter] [--bench] [--file=name]
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const args = process.argv.slice(2);
const filter = args.find((arg) => !arg.startsWith("--")) ?? "";
const only = args.find((arg) => arg.startsWith("--file="))?.slice(7) ?? "";
const suffix = args.includes("--bench") ? ".bench.ts" : ".gpu.ts";
const limitMs = Number(process.env.LIMIT_S ?? 120) * 1000;
const chromium = process.env.WEBGPU_WIDGET_BROWSER ?? "chromium";
const flags = (process.env.CHROMIUM_FLAGS ?? "--headless --no-sandbox --enable-unsafe-webgpu").split(/\s+/);
const env = { ...process.env, ...(process.env.CHROMIUM_LIBRARY_PATH && { LD_LIBRARY_PATH: process.env.CHROMIUM_LIBRARY_PATH }) };

async function bundle(file) {
  const contents = `import "./${file}";
import { runTests } from "./harness.ts";
const post = (path, body) => fetch(path, { method: "POST", body: JSON.stringify(body) });
const reports = [];
runTests(${JSON.stringify(filter)}, (outcome) => reports.push(post("/outcome", outcome))).then(() => Promise.all(reports)).then(() => post("/done", {}));`;
  const built = await build({
    stdin: { contents, resolveDir: here },
    bundle: true,
    format: "esm",
    write: false,
    sourcemap: "inline",
    loader: { ".wgsl": "text" },
  });
  return built.outputFiles[0].text;
}

function bodyOf(request) {
  return new Promise((resolve) => {
    let body = "";
    request.on("data", (part) => {
      body += part;
    });
    request.on("end", () => resolve(body));
  });
}

/** Serve the page and wait for its outcomes. */
async function runFile(file) {
  const script = await bundle(file);
  const counts = { passed: 0, failed: 0 };
  let finish = () => undefined;
  const finished = new Promise((resolve) => {
    finish = resolve;
  });
  const server = createServer(async (request, response) => {
    if (request.method === "POST") {
      const body = await bodyOf(request);
      response.writeHead(204).end();
      if (request.url === "/done") finish("");
      else report(JSON.parse(body), counts);
      return;
    }
    const page = '<!doctype html><meta charset="utf-8"><body><script type="module" src="/test.js"></script>';
    const [type, text] = request.url === "/test.js" ? ["text/javascript", script] : ["text/html", page];
    response.writeHead(200, { "content-type": type, "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp" }).end(text);
  });
  server.listen(0, "127.0.0.1");
  await new Promise((listening) => server.once("listening", listening));
  const profile = await mkdtemp(join(tmpdir(), "webgpu-widget-"));
  const address = `http://127.0.0.1:${server.address().port}/`;
  const more = ["--no-first-run", "--disable-background-networking", "--enable-logging=stderr", `--user-data-dir=${profile}`, address];
  const browser = spawn(chromium, [...flags, ...more], { stdio: ["ignore", "ignore", "pipe"], env });
  let log = "";
  browser.stderr.on("data", (part) => {
    log = (log + part).slice(-20000);
  });
  const gone = new Promise((resolve) => browser.once("exit", resolve));
  browser.once("exit", (code) => finish(`Chromium ended with ${code}`));
  const timer = setTimeout(() => finish("no end in time"), limitMs);
  const problem = await finished;
  clearTimeout(timer);
  if (problem) {
    counts.failed++;
    console.error(`FAIL ${file}: ${problem}\n${log.split("\n").slice(-30).join("\n")}`);
  }
  browser.kill();
  const killing = setTimeout(() => browser.kill("SIGKILL"), 5000);
  await gone;
  clearTimeout(killing);
  server.close();
  await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  return counts;
}

function report({ name, error, ms, figures }, counts) {
  if (error === undefined) counts.passed++;
  else counts.failed++;
  const shown = figures ? ` ${JSON.stringify(figures)}` : "";
  console.log(
    `${error === undefined ? "ok  " : "FAIL"} ${name} (${ms.toFixed(0)} ms)${shown}${error === undefined ? "" : `\n     ${error.replaceAll("\n", "\n     ")}`}`,
  );
}

const files = (await readdir(here)).filter((file) => file.endsWith(suffix) && file.startsWith(only)).sort();
const all = { passed: 0, failed: 0 };
for (const file of files) {
  const { passed, failed } = await runFile(file);
  all.passed += passed;
  all.failed += failed;
}
console.log(`${all.passed} passed, ${all.failed} failed`);
process.exit(all.failed || !all.passed ? 1 : 0);
