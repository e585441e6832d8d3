// The reflection of WGSL beside Dawn itself: `npm ci && node run.mjs [FOLDER ...] [--expressions N] [--seed S]`.
//
// Const-expressions at random: Dawn must assert the value that is computed here. Modules (the package's, and those below the folders given): a pipeline made
// with the layout that the reflection says must be accepted, and refused with any binding left out. Dawn computes nothing for it (its null backend).
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { create, globals } from "webgpu";
import { DEEPEST, Expressions, TYPES } from "./expressions.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const JS = join(HERE, "..", "..");
const SHADERS = join(JS, "..", "webgpu_widget", "shaders");
const { values: options, positionals: folders } = parseArgs({
  options: { expressions: { type: "string", default: "1500" }, seed: { type: "string", default: String(Date.now() % 1e6) } },
  allowPositionals: true,
});

Object.assign(globalThis, globals);
const bundled = await build({
  stdin: {
    contents:
      'export * from "./src/reflection.ts"; export * from "./src/wgsl/layout.ts"; export * from "./src/wgsl/parse.ts"; export * from "./src/pipelines.ts";',
    resolveDir: JS,
  },
  bundle: true,
  format: "esm",
  write: false,
  loader: { ".wgsl": "text" },
});
const { Layouts, ModuleReflection, parseModule, layoutEntry, usesSubgroupMatrices } = await import(
  `data:text/javascript;base64,${Buffer.from(bundled.outputFiles[0].text).toString("base64")}`
);

const gpu = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]); // Held: its adapters and devices end with it.
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice({
  requiredFeatures: [...adapter.features].filter((name) => /^(shader-f16|subgroups|float32-filterable|chromium-experimental-subgroup-matrix)$/.test(name)),
  requiredLimits: {
    maxStorageBuffersPerShaderStage: adapter.limits.maxStorageBuffersPerShaderStage,
    maxComputeInvocationsPerWorkgroup: adapter.limits.maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupSizeX: adapter.limits.maxComputeWorkgroupSizeX,
    maxComputeWorkgroupStorageSize: adapter.limits.maxComputeWorkgroupStorageSize,
  },
});

/** What Dawn says about an action; undefined where it takes it. */
async function refusal(action) {
  device.pushErrorScope("validation");
  let thrown;
  try {
    await action();
  } catch (error) {
    thrown = String(error);
  }
  return (await device.popErrorScope())?.message ?? thrown;
}

const compiles = (code) => refusal(() => device.createShaderModule({ code }).getCompilationInfo());

const SUFFIXES = { u32: "u", f32: "f", f16: "h" };
const TOLERANCES = { "abstract-float": 1e-12, f32: 1e-5, f16: 2e-2 };

/** An assertion of a value, to its type's precision. */
function assertion({ type, value }) {
  if (typeof value !== "number") return `const_assert(V == ${type === "i32" ? `i32(${value})` : `${value}${SUFFIXES[type] ?? ""}`});`;
  const suffix = SUFFIXES[type] ?? "";
  const allowed = Math.max(Math.abs(value), type === "f16" ? 1 : Number.MIN_VALUE) * TOLERANCES[type];
  return `const_assert(abs(V - (${value.toPrecision(17)}${suffix})) <= ${allowed}${suffix});`;
}

async function expressions(count, seed) {
  const generator = new Expressions(seed);
  let [wrong, refused] = [0, 0];
  for (let made = 0; made < count; made++) {
    const expression = generator.scalar(generator.pick(TYPES), DEEPEST);
    const source = `enable f16;\nconst V = ${expression};`;
    if (await compiles(source)) {
      refused++;
      continue;
    }
    let said;
    try {
      const value = new Layouts(parseModule(source)).value("V");
      const typed = value.type.startsWith("abstract") ? "" : `\nvar<private> typed: ${value.type} = V;`;
      said = await compiles(`${source}\n${assertion(value)}${typed}`);
    } catch (error) {
      said = String(error);
    }
    if (!said) continue;
    wrong++;
    console.log(`WRONG ${expression}\n      ${said.split("\n")[0]}`);
  }
  console.log(`${count} const-expressions (seed ${seed}): ${refused} that Dawn refuses, ${wrong} wrong`);
  return wrong;
}

function wgslBelow(folder) {
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => path.endsWith(".wgsl") && statSync(path).isFile());
}

/** Make an entry point's pipeline with those bindings in its layout. */
async function pipeline(module, name, bindings, source) {
  const groups = [];
  for (const binding of bindings) {
    groups[binding.group] ??= [];
    groups[binding.group].push(layoutEntry(binding, usesSubgroupMatrices(source)));
  }
  const bindGroupLayouts = Array.from(groups, (entries) => device.createBindGroupLayout({ entries: entries ?? [] }));
  const layout = device.createPipelineLayout({ bindGroupLayouts });
  await device.createComputePipelineAsync({ layout, compute: { module, entryPoint: name } });
}

const explicit = (binding) => binding.kind === "uniform" || binding.kind === "storage";

async function modules(paths) {
  const counts = { modules: 0, refused: 0, entries: 0, bindings: 0, wrong: 0 };
  for (const path of paths) {
    const source = readFileSync(path, "utf8");
    counts.modules++;
    if (await compiles(source)) {
      counts.refused++;
      continue;
    }
    const module = device.createShaderModule({ code: source });
    let reflected;
    try {
      reflected = new ModuleReflection(source);
    } catch (error) {
      counts.wrong++;
      console.log(`WRONG ${path}: ${error}`);
      continue;
    }
    const { entry_points: entries, bindings: all } = reflected.reflection;
    for (const entry of entries) {
      const bindings = entry.bindings.map((index) => all[index]);
      if (!bindings.every(explicit) || reflected.missing(entry, {}).length > 0) continue;
      counts.entries++;
      const said = await refusal(() => pipeline(module, entry.name, bindings, source));
      if (said) {
        counts.wrong++;
        console.log(`WRONG ${path}, ${entry.name}: ${said.split("\n")[0]}`);
        continue;
      }
      for (const left of bindings) {
        counts.bindings++;
        const without = bindings.filter((binding) => binding !== left);
        if (await refusal(() => pipeline(module, entry.name, without, source))) continue;
        counts.wrong++;
        console.log(`WRONG ${path}, ${entry.name}: Dawn does not miss ${left.name}`);
      }
    }
  }
  console.log(
    `${counts.modules} modules: ${counts.refused} that Dawn refuses; ${counts.entries} entry points and ${counts.bindings} bindings left out, ${counts.wrong} wrong`,
  );
  return counts.wrong;
}

const wrong =
  (await expressions(Number(options.expressions), Number(options.seed))) +
  (await modules([join(HERE, "subgroup_matrices.wgsl"), ...[SHADERS, ...folders].flatMap(wgslBelow)]));
process.exit(wrong ? 1 : 0);
