import type { Member, StructType, TypeInfo } from "../protocol.gen.js";
import { evaluate, type Scope } from "./constexpr.js";
import type { TypeSyntax } from "./cursor.js";
import type { Token } from "./lexer.js";
import type { Attribute, Declaration } from "./parse.js";
import { castScalar, concrete, convert, elementType, float, NotConstantError, type ScalarType, scalarType, toNumber, type Value } from "./values.js";

const SCALARS: ReadonlyMap<string, number> = new Map(Object.entries({ f32: 4, i32: 4, u32: 4, bool: 4, f16: 2 }));
const SUFFIXES: ReadonlyMap<string, string> = new Map(Object.entries({ f: "f32", i: "i32", u: "u32", h: "f16" }));
/** Declarations that lead from one to the next: far more than people write, and few enough for a browser's stack. */
const MOST_STEPS = 128;
/** Of a `buffer`: more than any array of so small a stride has. */
const BUFFER_ALIGN = 16;
const OPAQUE = /^(texture_|texel_buffer$|sampler)/;

/** The smallest multiple of `step` that is at least `value`. */
export function roundUp(step: number, value: number): number {
  return Math.ceil(value / step) * step;
}

/** Values that stand for an override's while its type alone is looked for: some expressions have none at one of them. */
const STAND_INS = [1, 2, 0];

/** What a module's types, constants and overrides are: sizes, alignments and offsets by WGSL's rules (WGSL, "Memory Layout"). */
export class Layouts implements Scope {
  private readonly byName: ReadonlyMap<string, Declaration>;
  private readonly structs = new Map<string, StructType>();
  private readonly values = new Map<string, Value>();
  private readonly overrideTypes = new Map<string, ScalarType>();
  private steps = 0;

  constructor(
    private readonly declarations: readonly Declaration[],
    private readonly overrides: Readonly<Record<string, number>> = {},
    private readonly standIn?: number,
  ) {
    this.byName = new Map(declarations.map((declaration) => [declaration.name, declaration]));
  }

  declares(name: string): boolean {
    return this.byName.has(name);
  }

  /** The value of a module-scope `const` or `override` (given, or its default). */
  value(name: string): Value {
    const known = this.values.get(name);
    if (known) return known;
    const declaration = this.byName.get(name);
    if (declaration?.kind !== "const" && declaration?.kind !== "override") throw new NotConstantError(`${name} has no value here`);
    const value = this.step(() => (declaration.kind === "const" ? this.initial(declaration) : this.override(declaration)));
    this.values.set(name, value);
    return value;
  }

  private override(declaration: Declaration): Value {
    const key = [this.overrideKey(declaration), declaration.name].find((name) => Object.hasOwn(this.overrides, name));
    const given = key === undefined ? undefined : this.overrides[key];
    const value = given ?? (declaration.value ? undefined : this.standIn);
    if (value !== undefined) return castScalar(float("abstract-float", value), this.overrideType(declaration));
    const initial = this.initial(declaration);
    return initial.kind === "scalar" ? castScalar(initial, concrete(initial.type)) : initial;
  }

  /** Go from one declaration to another; from one that leads back to itself there is no way. */
  private step<T>(go: () => T): T {
    if (++this.steps > MOST_STEPS) throw new NotConstantError(`declarations that depend on each other more than ${MOST_STEPS} deep, or on themselves`);
    try {
      return go();
    } finally {
      this.steps--;
    }
  }

  private initial(declaration: Declaration): Value {
    if (!declaration.value) throw new NotConstantError(`${declaration.name} has no value here`);
    const value = evaluate(declaration.value, this);
    return declaration.type ? convert(value, this.type(declaration.type)) : value;
  }

  /** Evaluate an expression that stands where a number belongs. */
  number(tokens: readonly Token[]): number {
    return toNumber(evaluate(tokens, this));
  }

  /** The key of an override in a pipeline's constants: its @id where it has one, else its name. */
  overrideKey(declaration: Declaration): string {
    return String(this.attribute(declaration.attributes, "id") ?? declaration.name);
  }

  /** The type of an override: as declared, or that of its default value, with abstract numbers made concrete. */
  overrideType(declaration: Declaration): ScalarType {
    const known = this.overrideTypes.get(declaration.name) ?? this.step(() => this.findType(declaration));
    this.overrideTypes.set(declaration.name, known);
    return known;
  }

  private findType(declaration: Declaration): ScalarType {
    if (declaration.type) {
      const type = this.type(declaration.type);
      if (type.type !== "scalar") throw new NotConstantError(`the override ${declaration.name} is no scalar`);
      return scalarType(type.name);
    }
    for (const standIn of STAND_INS) {
      try {
        return concrete(elementType(new Layouts(this.declarations, {}, standIn).value(declaration.name)));
      } catch (error) {
        if (!(error instanceof NotConstantError)) throw error;
      }
    }
    throw new NotConstantError(`the override ${declaration.name} has a default value whose type cannot be told`);
  }

  attribute(attributes: readonly Attribute[], name: string): number | undefined {
    const tokens = attributes.find((attribute) => attribute.name === name)?.args[0];
    return tokens && this.number(tokens);
  }

  /** Resolve a type as written. */
  type(syntax: TypeSyntax): TypeInfo {
    const { name, args } = syntax;
    const declared = this.byName.get(name);
    const aliased = declared?.kind === "alias" ? declared.type : undefined;
    if (aliased) return this.step(() => this.type(aliased));
    if (declared?.kind === "struct") return this.struct(declared);
    const scalar = SCALARS.get(name);
    if (scalar !== undefined) return { type: "scalar", name, size: scalar, align: scalar, atomic: false };
    const vector = /^vec([234])([fiuh]?)$/.exec(name);
    if (vector) return this.vector(Number(vector[1]), SUFFIXES.get(vector[2] ?? "") ?? this.element(args[0]));
    const matrix = /^mat([234])x([234])([fh]?)$/.exec(name);
    if (matrix) {
      const elem = SUFFIXES.get(matrix[3] ?? "") ?? this.element(args[0]);
      const columns = Number(matrix[1]);
      const column = this.vector(Number(matrix[2]), elem);
      return { type: "matrix", elem, columns, rows: Number(matrix[2]), size: columns * roundUp(column.align, column.size), align: column.align };
    }
    if (name === "atomic") return { type: "scalar", name: this.element(args[0]), size: 4, align: 4, atomic: true };
    if (name === "array" && args[0]) return this.array(args[0], args[1]);
    if (name === "buffer") return this.bytes(args[0]);
    if (OPAQUE.test(name)) return this.opaque(name, args);
    throw new NotConstantError(`no layout for the type ${syntax.tokens.map((token) => token.text).join("")}`);
  }

  private element(syntax: TypeSyntax | undefined): string {
    const type = syntax && this.type(syntax);
    if (type?.type !== "scalar") throw new NotConstantError("an element that is no scalar");
    return type.name;
  }

  private vector(count: number, elem: string): TypeInfo {
    const size = SCALARS.get(elem) ?? 4;
    return { type: "vector", elem, count, size: count * size, align: (count === 3 ? 4 : count) * size };
  }

  private array(element: TypeSyntax, countSyntax: TypeSyntax | undefined): TypeInfo {
    const elem = this.type(element);
    const count = countSyntax ? this.number(countSyntax.tokens) : 0;
    const stride = roundUp(elem.align, elem.size);
    return { type: "array", elem, count, stride, size: count * stride, align: elem.align };
  }

  /** A `buffer`, of bytes that the shader sees as what it likes: words, as far as what is bound goes. */
  private bytes(size: TypeSyntax | undefined): TypeInfo {
    const elem: TypeInfo = { type: "scalar", name: "u32", size: 4, align: 4, atomic: false };
    const count = size ? Math.ceil(this.number(size.tokens) / 4) : 0;
    return { type: "array", elem, count, stride: 4, size: 4 * count, align: BUFFER_ALIGN };
  }

  private opaque(name: string, args: readonly TypeSyntax[]): TypeInfo {
    const written = args.map((arg) => this.aliased(arg));
    const format = name.startsWith("texture_storage_") ? (written[0] ?? null) : null;
    return { type: "opaque", name: args.length ? `${name}<${written.join(", ")}>` : name, format, size: 0, align: 0 };
  }

  private aliased(syntax: TypeSyntax): string {
    const declared = this.byName.get(syntax.name);
    const aliased = declared?.kind === "alias" ? declared.type : undefined;
    return aliased ? this.step(() => this.aliased(aliased)) : syntax.tokens.map((token) => token.text).join("");
  }

  struct(declaration: Declaration): StructType {
    const known = this.structs.get(declaration.name);
    if (known) return known;
    const members: Member[] = [];
    let end = 0;
    let structAlign = 1;
    for (const member of declaration.members ?? []) {
      const type = this.step(() => this.type(member.type));
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

/** Fewest bytes that a binding of this type needs: a runtime-sized array counts as one element. */
export function minBindingSize(type: TypeInfo): number {
  // How much of a buffer without a size is needed, its views say: WebGPU looks when it is bound.
  if (type.type === "array" && type.count === 0 && type.align === BUFFER_ALIGN && type.stride < BUFFER_ALIGN) return 0;
  if (type.type === "array") return type.size || type.stride;
  if (type.type !== "struct") return type.size;
  const last = type.members.at(-1);
  if (last?.type.type !== "array" || last.type.count > 0) return type.size;
  return roundUp(type.align, last.offset + last.type.stride);
}
