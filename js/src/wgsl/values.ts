/** Values of WGSL's const-expressions and their conversions (WGSL, "Const-expressions" and "Abstract Numeric Types"). */
import type { TypeInfo } from "../protocol.gen.js";

export type ScalarType = "abstract-int" | "abstract-float" | "i32" | "u32" | "f32" | "f16" | "bool";

/** Integers are bigint, floats number, truth values boolean. */
export interface Scalar {
  readonly kind: "scalar";
  readonly type: ScalarType;
  readonly value: bigint | number | boolean;
}

export interface Vector {
  readonly kind: "vector";
  readonly type: ScalarType;
  readonly items: readonly Scalar[];
}

export interface Matrix {
  readonly kind: "matrix";
  readonly type: ScalarType;
  readonly columns: readonly Vector[];
}

export interface ArrayValue {
  readonly kind: "array";
  readonly items: readonly Value[];
}

export interface StructValue {
  readonly kind: "struct";
  readonly name: string;
  readonly members: ReadonlyMap<string, Value>;
}

export type Value = Scalar | Vector | Matrix | ArrayValue | StructValue;

/** The value cannot be told from the module's text alone. */
export class NotConstantError extends Error {}

const RANK: readonly ScalarType[] = ["abstract-int", "abstract-float", "i32", "u32", "f32", "f16", "bool"];
const INTEGERS: ReadonlySet<ScalarType> = new Set(["abstract-int", "i32", "u32"]);
const FLOATS: ReadonlySet<ScalarType> = new Set(["abstract-float", "f32", "f16"]);

export function isInteger(type: ScalarType): boolean {
  return INTEGERS.has(type);
}

export function isFloat(type: ScalarType): boolean {
  return FLOATS.has(type);
}

function isScalarType(name: string): name is ScalarType {
  return (RANK as readonly string[]).includes(name);
}

/** The type of that name, which a reader of types has found to be a scalar. */
export function scalarType(name: string): ScalarType {
  if (!isScalarType(name)) throw new NotConstantError(`${name} is no scalar type`);
  return name;
}

/** The type that a number has where nothing says one. */
export function concrete(type: ScalarType): ScalarType {
  if (type === "abstract-int") return "i32";
  return type === "abstract-float" ? "f32" : type;
}

export function bool(value: boolean): Scalar {
  return { kind: "scalar", type: "bool", value };
}

/** An integer, wrapped as its type wraps. */
export function integer(type: ScalarType, value: bigint): Scalar {
  if (type === "i32") return { kind: "scalar", type, value: BigInt.asIntN(32, value) };
  if (type === "u32") return { kind: "scalar", type, value: BigInt.asUintN(32, value) };
  if (value !== BigInt.asIntN(64, value)) throw new NotConstantError(`${value} does not fit an abstract integer of 64 bits`);
  return { kind: "scalar", type, value };
}

/** A float, rounded as its type rounds. */
export function float(type: ScalarType, value: number): Scalar {
  const rounded = type === "f32" ? Math.fround(value) : type === "f16" ? roundToHalf(value) : value;
  return { kind: "scalar", type, value: rounded };
}

/** A number of float16: rounded towards zero, as Tint (Dawn of Chromium 156, npm webgpu 0.6.2) evaluates float16, and as WGSL allows. */
export function roundToHalf(value: number): number {
  const size = Math.abs(value);
  if (size === 0 || !Number.isFinite(value)) return value;
  if (size >= 65536) return Math.sign(value) * Number.POSITIVE_INFINITY;
  const unit = 2 ** (Math.max(Math.floor(Math.log2(size)), -14) - 10);
  return Math.sign(value) * Math.floor(size / unit) * unit;
}

/** A scalar as a JavaScript number: all that counts, attributes and pipelines take. */
export function toNumber(value: Value): number {
  if (value.kind !== "scalar") throw new NotConstantError(`a ${value.kind} stands where a number belongs`);
  return Number(value.value);
}

export function isTrue(value: Value): boolean {
  if (value.kind !== "scalar" || typeof value.value !== "boolean") throw new NotConstantError("a truth value is needed");
  return value.value;
}

/** The integer in a scalar. */
export function bigintOf(scalar: Scalar): bigint {
  return typeof scalar.value === "bigint" ? scalar.value : BigInt(Math.trunc(Number(scalar.value)));
}

/** Make a scalar one of another type, as `u32(x)` does: floats are cut towards zero and saturate, integers keep their bits. */
export function castScalar(scalar: Scalar, type: ScalarType): Scalar {
  const { value } = scalar;
  if (scalar.type === type) return scalar;
  if (type === "bool") return bool(typeof value === "boolean" ? value : Number(value) !== 0);
  if (isFloat(type)) return float(type, Number(value));
  if (typeof value !== "number") return integer(type, BigInt(value));
  const [low, high] = type === "u32" ? [0, 2 ** 32 - 1] : type === "i32" ? [-(2 ** 31), 2 ** 31 - 1] : [-(2 ** 63), 2 ** 63];
  return integer(type, Number.isNaN(value) ? 0n : BigInt(Math.trunc(Math.min(Math.max(value, low), high))));
}

/** The element type of a scalar, vector or matrix. */
export function elementType(value: Value): ScalarType {
  if (value.kind === "array" || value.kind === "struct") throw new NotConstantError(`a ${value.kind} has no arithmetic`);
  return value.type;
}

/** Convert each component. */
export function castTo(value: Value, type: ScalarType): Value {
  return mapScalars(value, type, (scalar) => castScalar(scalar, type));
}

/** Apply a function to each component. */
export function mapScalars(value: Value, type: ScalarType, apply: (scalar: Scalar) => Scalar): Value {
  switch (value.kind) {
    case "scalar":
      return apply(value);
    case "vector":
      return { kind: "vector", type, items: value.items.map(apply) };
    case "matrix":
      return { kind: "matrix", type, columns: value.columns.map((column) => ({ kind: "vector", type, items: column.items.map(apply) })) };
    case "array":
      return { kind: "array", items: value.items.map((item) => mapScalars(item, type, apply)) };
    default:
      throw new NotConstantError(`the struct ${value.name} has no components`);
  }
}

/** The type that operands of several types meet in. */
export function commonType(types: readonly ScalarType[]): ScalarType {
  return types.reduce((best, type) => (RANK.indexOf(type) > RANK.indexOf(best) ? type : best), types[0] ?? "abstract-int");
}

/** Give abstract numbers in a value the declared type. */
export function convert(value: Value, type: TypeInfo): Value {
  if (value.kind === "array" && type.type === "array") return { kind: "array", items: value.items.map((item) => convert(item, type.elem)) };
  if (type.type === "scalar") return castTo(value, scalarType(type.name));
  if (type.type === "vector" || type.type === "matrix") return castTo(value, scalarType(type.elem));
  return value;
}

/** The zero value of a type. */
export function zero(type: TypeInfo): Value {
  switch (type.type) {
    case "scalar":
      return castScalar(integer("abstract-int", 0n), scalarType(type.name));
    case "vector":
      return vectorOf(scalarType(type.elem), type.count);
    case "matrix": {
      const elem = scalarType(type.elem);
      return { kind: "matrix", type: elem, columns: Array.from({ length: type.columns }, () => vectorOf(elem, type.rows)) };
    }
    case "array":
      return { kind: "array", items: Array.from({ length: type.count }, () => zero(type.elem)) };
    case "struct":
      return { kind: "struct", name: type.name, members: new Map(type.members.map((member) => [member.name, zero(member.type)])) };
    default:
      throw new NotConstantError(`${type.name} has no zero value`);
  }
}

/** A vector of zeros. */
export function vectorOf(type: ScalarType, count: number): Vector {
  return { kind: "vector", type, items: Array.from({ length: count }, () => castScalar(integer("abstract-int", 0n), type)) };
}
