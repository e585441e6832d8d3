/**
 * What a WGSL module declares, by reading it.
 *
 * A parser of the module scope alone: bodies are searched for names only, so that a function may use syntax that is newer than this file
 * (subgroup matrices, for one), and a binding belongs to an entry point exactly when a name on the way to it is used.
 */
import { EngineError } from "./errors.js";
import type { BindingInfo, BindingKind, EntryPointInfo, Reflection, StructType } from "./protocol.gen.js";
import { Layouts } from "./wgsl/layout.js";
import { overrideInfo, refusal } from "./wgsl/overrides.js";
import { type Declaration, parseModule } from "./wgsl/parse.js";

type Access = BindingInfo["access"];

/** A module's reflection, and what the pipelines need beside it. */
export class ModuleReflection {
  readonly reflection: Reflection;
  private readonly declarations: readonly Declaration[];
  private readonly byName: ReadonlyMap<string, Declaration>;
  private readonly layouts: Layouts;

  constructor(source: string) {
    this.declarations = parseModule(source);
    this.byName = new Map(this.declarations.map((declaration) => [declaration.name, declaration]));
    this.layouts = new Layouts(this.declarations);
    this.reflection = this.reflect();
  }

  /** The entry point of that name, or the module's only one; undefined where there are several to choose from. */
  entryPoint(name: string | null): EntryPointInfo | undefined {
    const entries = this.reflection.entry_points;
    const names = entries.map((entry) => entry.name).join(", ");
    if (entries.length === 0) throw new EngineError("shader", "the module has no @compute entry point", { messages: [], line: 0, column: 0 });
    if (name !== null) {
      const found = entries.find((entry) => entry.name === name);
      if (found) return found;
      throw new EngineError("binding", `the module has no entry point ${name}; it has: ${names}`, { name, allowed: names });
    }
    return entries.length === 1 ? entries[0] : undefined;
  }

  /** Constants as WebGPU wants them: keyed by @id or name, and only those that the entry point uses. */
  constants(entry: EntryPointInfo | undefined, given: Readonly<Record<string, number>>): Record<string, number> {
    const keys = new Map<string, Declaration>();
    for (const declaration of this.declarations) {
      if (declaration.kind !== "override") continue;
      keys.set(declaration.name, declaration);
      keys.set(this.layouts.overrideKey(declaration), declaration);
    }
    const constants: Record<string, number> = {};
    const seen = new Map<string, number>();
    for (const [name, value] of Object.entries(given)) {
      const declaration = keys.get(name);
      if (!declaration) {
        const allowed = this.reflection.overrides.map((override) => override.name).join(", ") || "none";
        throw new EngineError("binding", `the module declares no override ${name}; it declares: ${allowed}`, { name, allowed });
      }
      const type = this.layouts.overrideType(declaration);
      const why = refusal(type, value);
      if (why !== undefined) throw new EngineError("binding", `the override ${declaration.name} is ${type}, and ${value} was given: ${why}`, { name, value });
      const key = this.layouts.overrideKey(declaration);
      const before = seen.get(key) ?? value;
      if (before !== value)
        throw new EngineError("binding", `the override ${declaration.name} is given twice, by name and by @id: as ${before} and as ${value}`, { name });
      seen.set(key, value);
      if (entry?.overrides.includes(declaration.name)) constants[key] = value;
    }
    return constants;
  }

  /** Overrides of the entry point that have neither a default nor a value. */
  missing(entry: EntryPointInfo, constants: Readonly<Record<string, number>>): string[] {
    return entry.overrides.filter((name) => {
      const declaration = this.byName.get(name);
      return declaration && !declaration.value && !Object.hasOwn(constants, this.layouts.overrideKey(declaration));
    });
  }

  /** The workgroup size once the constants are set. */
  workgroupSize(entry: EntryPointInfo, constants: Readonly<Record<string, number>>): number[] {
    const layouts = new Layouts(this.declarations, constants);
    const attribute = this.byName.get(entry.name)?.attributes.find((found) => found.name === "workgroup_size");
    return [0, 1, 2].map((axis) => {
      const tokens = attribute?.args[axis];
      return tokens && tokens.length > 0 ? layouts.number(tokens) : 1;
    });
  }

  private reflect(): Reflection {
    const { layouts } = this;
    const resources = this.declarations.filter(
      (found) => found.kind === "var" && (isImmediate(found) || found.attributes.some((attribute) => attribute.name === "binding")),
    );
    const bindings = resources.map((resource) => bindingOf(resource, layouts));
    const structs: StructType[] = [];
    for (const declaration of this.declarations) {
      if (declaration.kind !== "struct") continue;
      try {
        structs.push(layouts.struct(declaration));
      } catch {
        // Not host-shareable (a builtin's struct, an override-sized array, a new type): nothing that Python could pack.
      }
    }
    const entries = this.declarations.filter((found) => found.kind === "fn" && found.attributes.some((attribute) => attribute.name === "compute"));
    return {
      entry_points: entries.map((entry) => this.entry(entry, resources)),
      bindings,
      structs,
      overrides: this.declarations.filter((found) => found.kind === "override").map((found) => overrideInfo(found, layouts)),
    };
  }

  private entry(entry: Declaration, resources: readonly Declaration[]): EntryPointInfo {
    const reached = this.reach(entry);
    const size = entry.attributes.find((attribute) => attribute.name === "workgroup_size")?.args ?? [];
    return {
      name: entry.name,
      workgroup_size: [0, 1, 2].map((axis) => size[axis]?.map((token) => token.text).join(" ") || "1"),
      bindings: resources.flatMap((resource, index) => (reached.has(resource.name) ? [index] : [])),
      overrides: this.declarations.filter((found) => found.kind === "override" && reached.has(found.name)).map((found) => found.name),
    };
  }

  /** The variables with a binding that a function of the module uses, itself or by what it calls. */
  bindingsOf(name: string): BindingInfo[] {
    const declaration = this.byName.get(name);
    const reached = declaration ? this.reach(declaration) : new Set<string>();
    return this.reflection.bindings.filter((binding) => reached.has(binding.name));
  }

  private reach(entry: Declaration): Set<string> {
    const reached = new Set<string>();
    const queue = [entry];
    for (let next = queue.pop(); next; next = queue.pop()) {
      for (const name of next.uses) {
        const declaration = this.byName.get(name);
        if (!declaration || reached.has(name)) continue;
        reached.add(name);
        queue.push(declaration);
      }
    }
    return reached;
  }
}

/** Group and binding of what has none. */
const NO_SLOT = -1;

function isImmediate({ template }: Declaration): boolean {
  return template?.[0] === "immediate";
}

function bindingOf(declaration: Declaration, layouts: Layouts): BindingInfo {
  if (!declaration.type) throw new EngineError("binding", `the variable ${declaration.name} has no type`);
  const type = layouts.type(declaration.type);
  const [space, access] = declaration.template ?? [];
  if (isImmediate(declaration)) return { name: declaration.name, group: NO_SLOT, binding: NO_SLOT, kind: "immediate", access: "read", type };
  let kind: BindingKind;
  let mode: Access = "read";
  if (type.type === "opaque") {
    kind = type.name.startsWith("sampler") ? "sampler" : type.format === null ? "texture" : "storage-texture";
    const written = /, *(read_write|read|write)>$/.exec(type.name)?.[1];
    if (kind === "storage-texture") mode = written === "read" || written === "read_write" ? written : "write";
  } else if (space === "uniform") kind = "uniform";
  else if (space === "storage") {
    kind = "storage";
    mode = access === "read_write" || access === "write" ? access : "read";
  } else throw new EngineError("binding", `the variable ${declaration.name} has a binding, and its address space ${space ?? "(none)"} has none`);
  return {
    name: declaration.name,
    group: layouts.attribute(declaration.attributes, "group") ?? 0,
    binding: layouts.attribute(declaration.attributes, "binding") ?? 0,
    kind,
    access: mode,
    type,
  };
}
