import type { Member, StructType, TypeInfo } from "../protocol.gen.js";
import { evaluate, type Lookup, NotConstantError, type Value } from "./constexpr.js";
import type { Attribute, Declaration, TypeSyntax } from "./parse.js";

const SCALARS: Readonly<Record<string, number>> = { f32: 4, i32: 4, u32: 4, bool: 4, f16: 2 };
const SUFFIXES: Readonly<Record<string, string>> = { f: "f32", i: "i32", u: "u32", h: "f16" };
const OPAQUE = /^(texture_|sampler)/;

/** The smallest multiple of `step` that is at least `value`. */
export function roundUp(step: number, value: number): number {
  return Math.ceil(value / step) * step;
}

/** Sizes, alignments and offsets by WGSL's rules for a module's types (WGSL, "Memory Layout"). */
export class Layouts {
  private readonly byName: ReadonlyMap<string, Declaration>;
  private readonly structs = new Map<string, StructType>();

  constructor(
    declarations: readonly Declaration[],
    private readonly overrides: Readonly<Record<string, number>> = {},
  ) {
    this.byName = new Map(declarations.map((declaration) => [declaration.name, declaration]));
  }

  /** The value of a module-scope `const` or `override` (given, or its default). */
  readonly lookup: Lookup = (name) => {
    const declaration = this.byName.get(name);
    if (declaration?.kind === "override") {
      const given = this.overrides[overrideKey(declaration)] ?? this.overrides[name];
      if (given !== undefined) return given;
    }
    if ((declaration?.kind !== "const" && declaration?.kind !== "override") || !declaration.value) throw new NotConstantError(`${name} has no value here`);
    return evaluate(declaration.value, this.lookup);
  };

  /** Evaluate an expression over the module's constants. */
  value(tokens: readonly { kind: "name" | "number" | "symbol" | "end"; text: string; start: number }[]): Value {
    return evaluate(tokens, this.lookup);
  }

  attribute(attributes: readonly Attribute[], name: string): number | undefined {
    const tokens = attributes.find((attribute) => attribute.name === name)?.args[0];
    return tokens && Number(this.value(tokens));
  }

  /** Resolve a type as written. */
  type(syntax: TypeSyntax): TypeInfo {
    const { name, args } = syntax;
    const declared = this.byName.get(name);
    if (declared?.kind === "alias" && declared.type) return this.type(declared.type);
    if (declared?.kind === "struct") return this.struct(declared);
    const scalar = SCALARS[name];
    if (scalar !== undefined) return { type: "scalar", name, size: scalar, align: scalar, atomic: false };
    const vector = /^vec([234])([fiuh]?)$/.exec(name);
    if (vector) return this.vector(Number(vector[1]), SUFFIXES[vector[2] ?? ""] ?? this.element(args[0]));
    const matrix = /^mat([234])x([234])([fh]?)$/.exec(name);
    if (matrix) {
      const elem = SUFFIXES[matrix[3] ?? ""] ?? this.element(args[0]);
      const columns = Number(matrix[1]);
      const column = this.vector(Number(matrix[2]), elem);
      return { type: "matrix", elem, columns, rows: Number(matrix[2]), size: columns * roundUp(column.align, column.size), align: column.align };
    }
    if (name === "atomic") return { type: "scalar", name: this.element(args[0]), size: 4, align: 4, atomic: true };
    if (name === "array" && args[0]) return this.array(args[0], args[1]);
    if (OPAQUE.test(name)) return this.opaque(name, args);
    throw new NotConstantError(`no layout for the type ${syntax.tokens.map((token) => token.text).join("")}`);
  }

  private element(syntax: TypeSyntax | undefined): string {
    const type = syntax && this.type(syntax);
    if (type?.type !== "scalar") throw new NotConstantError("an element that is no scalar");
    return type.name;
  }

  private vector(count: number, elem: string): TypeInfo {
    const size = SCALARS[elem] ?? 4;
    return { type: "vector", elem, count, size: count * size, align: (count === 3 ? 4 : count) * size };
  }

  private array(element: TypeSyntax, countSyntax: TypeSyntax | undefined): TypeInfo {
    const elem = this.type(element);
    const count = countSyntax ? Number(this.value(countSyntax.tokens)) : 0;
    const stride = roundUp(elem.align, elem.size);
    return { type: "array", elem, count, stride, size: count * stride, align: elem.align };
  }

  private opaque(name: string, args: readonly TypeSyntax[]): TypeInfo {
    const written = args.map((arg) => this.aliased(arg));
    const format = name.startsWith("texture_storage_") ? (written[0] ?? null) : null;
    return { type: "opaque", name: args.length ? `${name}<${written.join(", ")}>` : name, format, size: 0, align: 0 };
  }

  private aliased(syntax: TypeSyntax): string {
    const declared = this.byName.get(syntax.name);
    return declared?.kind === "alias" && declared.type ? this.aliased(declared.type) : syntax.tokens.map((token) => token.text).join("");
  }

  struct(declaration: Declaration): StructType {
    const known = this.structs.get(declaration.name);
    if (known) return known;
    const members: Member[] = [];
    let end = 0;
    let structAlign = 1;
    for (const member of declaration.members ?? []) {
      const type = this.type(member.type);
      const align = this.attribute(member.attributes, "align") ?? type.align;
      const size = this.attribute(member.attributes, "size") ?? type.size;
      const offset = roundUp(align || 1, end);
      members.push({ name: member.name, offset, type });
      end = offset + size;
      structAlign = Math.max(structAlign, align);
    }
    const struct: StructType = { type: "struct", name: declaration.name, members, size: roundUp(structAlign, end), align: structAlign };
    this.structs.set(declaration.name, struct);
    return struct;
  }
}

/** The key of an override in a pipeline's constants: its @id where it has one, else its name. */
export function overrideKey(declaration: Declaration): string {
  const id = declaration.attributes.find((attribute) => attribute.name === "id")?.args[0];
  return id ? String(evaluate(id, () => 0)) : declaration.name;
}

/** Fewest bytes that a binding of this type needs: a runtime-sized array counts as one element. */
export function minBindingSize(type: TypeInfo): number {
  if (type.type === "array") return type.size || type.stride;
  if (type.type !== "struct") return type.size;
  const last = type.members.at(-1);
  if (last?.type.type !== "array" || last.type.count > 0) return type.size;
  return roundUp(type.align, last.offset + last.type.stride);
}
