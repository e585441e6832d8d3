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
      'export * from "./src/reflection.ts"; export * from "./src/wgsl/layout.ts"; export * from "./src/wgsl/parse.ts"; export * from "./src/pipelines.ts"; export * from "./test/composed.ts";',
    resolveDir: JS,
  },
  bundle: true,
  format: "esm",
  write: false,
  loader: { ".wgsl": "text" },
});
const { composedFromPaths, Layouts, ModuleReflection, parseModule, layoutEntry, usesSubgroupMatrices } = await import(
  `data:text/javascript;base64,${Buffer.from(bundled.outputFiles[0].text).toString("base64")}`
);

const FEATURES =
  /^(shader-f16|subgroups|subgroup-size-control|float32-filterable|texture-formats-tier[12]|bgra8unorm-storage|chromium-experimental-subgroup-matrix)$/;
const gpu = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]); // Held: its adapters and devices end with it.
const adapter = await gpu.requestAdapter();
const device = await adapter.requestDevice({
  requiredFeatures: [...adapter.features].filter((name) => FEATURES.test(name)),
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

const SAMPLE_TYPES = { f32: "float", i32: "sint", u32: "uint" };

/** What a layout says of a texture or a sampler, by its type as it is reflected. */
function opaqueEntry({ binding, kind, access, type }) {
  const entry = { binding, visibility: GPUShaderStage.COMPUTE };
  if (kind === "sampler") return { ...entry, sampler: { type: type.name === "sampler_comparison" ? "comparison" : "non-filtering" } };
  if (type.name === "texture_external") return { ...entry, externalTexture: {} };
  const [, prefix, shape] = /^texture_(storage_|multisampled_|depth_multisampled_|depth_|)(1d|2d_array|2d|3d|cube_array|cube)\b/.exec(type.name);
  const viewDimension = shape.replace("_", "-");
  if (kind === "storage-texture") return { ...entry, storageTexture: { access: ACCESS[access], format: type.format, viewDimension } };
  const multisampled = prefix.includes("multisampled");
  const sampled = prefix.startsWith("depth") ? "depth" : SAMPLE_TYPES[/<(\w+)>/.exec(type.name)[1]];
  return { ...entry, texture: { multisampled, viewDimension, sampleType: multisampled && sampled === "float" ? "unfilterable-float" : sampled } };
}

const ACCESS = { read: "read-only", write: "write-only", read_write: "read-write" };

/** Make an entry point's pipeline with those bindings in its layout. */
async function pipeline(module, name, bindings, source) {
  const groups = [];
  let immediateSize = 0;
  for (const binding of bindings) {
    if (binding.kind === "immediate") {
      immediateSize = Math.ceil(binding.type.size / 4) * 4;
      continue;
    }
    groups[binding.group] ??= [];
    groups[binding.group].push(hasBytes(binding) ? layoutEntry(binding, usesSubgroupMatrices(source)) : opaqueEntry(binding));
  }
  const bindGroupLayouts = Array.from(groups, (entries) => device.createBindGroupLayout({ entries: entries ?? [] }));
  const layout = device.createPipelineLayout({ bindGroupLayouts, immediateSize });
  await device.createComputePipelineAsync({ layout, compute: { module, entryPoint: name } });
}

const hasBytes = (binding) => binding.kind === "uniform" || binding.kind === "storage";

/** WGSL below a folder, by path. */
function texts(folder) {
  return Object.fromEntries(wgslBelow(folder).map((path) => [path, readFileSync(path, "utf8")]));
}

async function modules(sources) {
  const counts = { modules: 0, refused: 0, entries: 0, bindings: 0, impossible: 0, wrong: 0 };
  for (const [path, source] of Object.entries(sources)) {
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
      if (reflected.missing(entry, {}).length > 0) continue;
      if (bindings.some((binding) => binding.type.name?.startsWith("texel_buffer"))) {
        counts.impossible++; // A layout has no word for them yet.
        continue;
      }
      counts.entries++;
      const said = await refusal(() => pipeline(module, entry.name, bindings, source));
      if (said && (await refusal(() => device.createComputePipelineAsync({ layout: "auto", compute: { module, entryPoint: entry.name } })))) {
        counts.entries--;
        counts.impossible++; // Whatever its layout: its workgroup is too large for this device, or the like.
        continue;
      }
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
    `${counts.modules} modules: ${counts.refused} that Dawn refuses; ${counts.entries} entry points (${counts.impossible} more that this device has no pipeline for) and ${counts.bindings} bindings left out, ${counts.wrong} wrong`,
  );
  return counts.wrong;
}

const wrong =
  (await expressions(Number(options.expressions), Number(options.seed))) +
  (await modules({
    ...composedFromPaths(texts(SHADERS)),
    "subgroup_matrices.wgsl": readFileSync(join(HERE, "subgroup_matrices.wgsl"), "utf8"),
    ...Object.assign({}, ...folders.map(texts)),
  }));
process.exit(wrong ? 1 : 0);
