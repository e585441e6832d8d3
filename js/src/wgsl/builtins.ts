/** Functions that WGSL evaluates in const-expressions (WGSL, "Built-in Functions", those marked `@const`). */
import { arithmetic, binary, componentwise, dot, itemOf, rowOf, scalarIn, unary, vectorIn } from "./operators.js";
import { PACKING } from "./packing.js";
import {
  bigintOf,
  bool,
  castScalar,
  castTo,
  commonType,
  concrete,
  elementType,
  float,
  integer,
  isFloat,
  isTrue,
  type Matrix,
  mapScalars,
  NotConstantError,
  roundToHalf,
  type Scalar,
  type ScalarType,
  type StructValue,
  type Value,
  type Vector,
} from "./values.js";

type Builtin = (args: readonly Value[]) => Value;

const WORD = 32n;

/** Functions of floats, component by component. */
const OF_FLOATS: Readonly<Record<string, (a: number, b: number, c: number) => number>> = {
  acos: Math.acos,
  acosh: Math.acosh,
  asin: Math.asin,
  asinh: Math.asinh,
  atan: Math.atan,
  atan2: Math.atan2,
  atanh: Math.atanh,
  ceil: Math.ceil,
  cos: Math.cos,
  cosh: Math.cosh,
  degrees: (x) => (x * 180) / Math.PI,
  exp: Math.exp,
  exp2: (x) => 2 ** x,
  floor: Math.floor,
  fract: (x) => x - Math.floor(x),
  inverseSqrt: (x) => 1 / Math.sqrt(x),
  log: Math.log,
  log2: Math.log2,
  pow: (base, exponent) => base ** exponent,
  quantizeToF16: roundToHalf,
  radians: (x) => (x * Math.PI) / 180,
  round: roundHalfEven,
  saturate: (x) => Math.min(Math.max(x, 0), 1),
  sin: Math.sin,
  sinh: Math.sinh,
  sqrt: Math.sqrt,
  step: (edge, x) => (edge <= x ? 1 : 0),
  tan: Math.tan,
  tanh: Math.tanh,
  trunc: Math.trunc,
};

/** Functions of one integer's 32 bits, component by component. */
const OF_BITS: Readonly<Record<string, (bits: number, signed: boolean) => number>> = {
  countLeadingZeros: (bits) => Math.clz32(bits),
  countOneBits: (bits) => countOnes(bits),
  countTrailingZeros: (bits) => (bits === 0 ? 32 : 31 - Math.clz32(bits & -bits)),
  firstLeadingBit: (bits, signed) => 31 - Math.clz32(signed && bits >> 31 ? ~bits : bits),
  firstTrailingBit: (bits) => (bits === 0 ? -1 : 31 - Math.clz32(bits & -bits)),
  reverseBits: (bits) => Number.parseInt((bits >>> 0).toString(2).padStart(32, "0").split("").reverse().join(""), 2),
};

const OTHERS: Readonly<Record<string, Builtin>> = {
  abs: ([x]) => each(x, (scalar, type) => (isFloat(type) ? float(type, Math.abs(Number(scalar.value))) : integer(type, absolute(bigintOf(scalar))))),
  all: ([x]) => bool(truths(x).every(Boolean)),
  any: ([x]) => bool(truths(x).some(Boolean)),
  clamp: ([x, low, high]) => extreme([extreme([given(x), given(low)], (a, b) => a > b), given(high)], (a, b) => a < b),
  cross: (args) => cross(floatsOf(args)),
  determinant: ([m]) => determinant(matrixIn(m)),
  distance: ([a, b]) => length(binary("-", given(a), given(b))),
  dot: (args) => {
    const [a, b] = unified(args);
    return dot(vectorIn(a), vectorIn(b));
  },
  extractBits: ([x, offset, count]) => each(x, (scalar) => extract(materialised(scalar), scalarIn(offset), scalarIn(count))),
  faceForward: (args) => {
    const [normal, incident, reference] = floatsOf(args);
    return Number(dot(vectorIn(incident), vectorIn(reference)).value) < 0 ? given(normal) : unary("-", given(normal));
  },
  fma: (args) => {
    const [a, b, c] = floatsOf(args).map(given);
    return binary("+", binary("*", given(a), given(b)), given(c));
  },
  frexp: (args) => frexp(given(floatsOf(args)[0])),
  insertBits: ([x, bits, offset, count]) =>
    componentwise([given(x), given(bits)], concrete(elementType(given(x))), ([a, b]) =>
      insert(materialised(a), materialised(b), scalarIn(offset), scalarIn(count)),
    ),
  ldexp: ([x, exponent]) => {
    const scaled = given(floatsOf([given(x)])[0]);
    return componentwise([scaled, given(exponent)], elementType(scaled), ([a, b]) => float(a.type, Number(a.value) * 2 ** Number(b.value)));
  },
  length: (args) => length(given(floatsOf(args)[0])),
  max: (args) => extreme(args, (a, b) => a > b),
  mix,
  min: (args) => extreme(args, (a, b) => a < b),
  modf: (args) => modf(given(floatsOf(args)[0])),
  normalize: (args) => {
    const x = given(floatsOf(args)[0]);
    return binary("/", x, length(x));
  },
  reflect: (args) => {
    const [incident, normal] = floatsOf(args).map(vectorIn);
    const along = dot(given(normal), given(incident));
    return binary("-", given(incident), binary("*", given(normal), float(along.type, 2 * Number(along.value))));
  },
  refract: (args) => refract(floatsOf(args)),
  select: ([no, yes, which]) => select(given(no), given(yes), given(which)),
  sign: ([x]) => each(x, (scalar, type) => castScalar(integer("abstract-int", BigInt(Math.sign(Number(scalar.value)))), type)),
  smoothstep,
  transpose: ([m]) => transpose(matrixIn(m)),
  ...PACKING,
};

/** The function of that name, or undefined where WGSL has none that is constant. */
export function builtin(name: string): Builtin | undefined {
  const ofFloats = own(OF_FLOATS, name);
  if (ofFloats)
    return (args) => {
      const floats = floatsOf(args);
      return componentwise(floats, elementType(given(floats[0])), ([a, b, c]) => float(a.type, ofFloats(Number(a.value), Number(b?.value), Number(c?.value))));
    };
  const ofBits = own(OF_BITS, name);
  if (ofBits) return ([x]) => each(x, (scalar) => bitsOf(materialised(scalar), ofBits));
  return own(OTHERS, name);
}

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function given<T>(value: T | undefined): T {
  if (value === undefined) throw new NotConstantError("an argument is missing");
  return value;
}

/** Arguments in their common type. */
function unified(args: readonly Value[]): Value[] {
  const type = commonType(args.map(elementType));
  return args.map((arg) => castTo(arg, type));
}

/** Arguments in their common type of floats. */
function floatsOf(args: readonly Value[]): Value[] {
  const type = commonType(["abstract-float", ...args.map(elementType)]);
  return args.map((arg) => castTo(arg, type));
}

function each(value: Value | undefined, apply: (scalar: Scalar, type: ScalarType) => Scalar): Value {
  const type = elementType(given(value));
  const made = mapScalars(given(value), type, (scalar) => apply(scalar, type));
  return castTo(made, made.kind === "scalar" ? made.type : made.kind === "vector" ? itemOf(made.items, 0).type : type);
}

/** An abstract integer as the i32 that functions of bits take. */
function materialised(scalar: Scalar): Scalar {
  return castScalar(scalar, concrete(scalar.type));
}

function bitsOf(scalar: Scalar, apply: (bits: number, signed: boolean) => number): Scalar {
  const signed = scalar.type === "i32";
  return integer(scalar.type, BigInt(apply(Number(BigInt.asIntN(32, bigintOf(scalar))), signed)));
}

function truths(value: Value | undefined): boolean[] {
  return value?.kind === "vector" ? value.items.map(isTrue) : [isTrue(given(value))];
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function countOnes(bits: number): number {
  return (bits >>> 0).toString(2).replaceAll("0", "").length;
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const part = value - below;
  return part > 0.5 || (part === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/** Each step rounded to the type of its operands, as a compiler does it. */
function mix(args: readonly Value[]): Value {
  const [a, b, part] = floatsOf(args).map(given);
  const one = float(elementType(given(part)), 1);
  return binary("+", binary("*", given(a), binary("-", one, given(part))), binary("*", given(b), given(part)));
}

function smoothstep(args: readonly Value[]): Value {
  const [low, high, x] = floatsOf(args).map(given);
  const type = elementType(given(x));
  const part = binary("/", binary("-", given(x), given(low)), binary("-", given(high), given(low)));
  const inside = mapScalars(part, type, (scalar) => float(type, Math.min(Math.max(Number(scalar.value), 0), 1)));
  return binary("*", binary("*", inside, inside), binary("-", float(type, 3), binary("*", float(type, 2), inside)));
}

function extreme(args: readonly Value[], wins: (a: Scalar["value"], b: Scalar["value"]) => boolean): Value {
  const [a, b] = unified(args);
  return componentwise([given(a), given(b)], elementType(given(a)), ([x, y]) => (wins(y.value, x.value) ? y : x));
}

function select(no: Value, yes: Value, which: Value): Value {
  if (which.kind === "scalar") {
    const chosen = isTrue(which) ? yes : no;
    return chosen.kind === "array" || chosen.kind === "struct" ? chosen : castTo(chosen, commonType([elementType(no), elementType(yes)]));
  }
  const [a, b] = unified([no, yes]);
  return componentwise([given(a), given(b), which], elementType(given(a)), ([x, y, chosen]) => (isTrue(chosen) ? y : x));
}

function extract(scalar: Scalar, offset: Scalar, count: Scalar): Scalar {
  const [start, wanted] = [bigintOf(offset), bigintOf(count)];
  const from = start < WORD ? start : WORD;
  const width = Number(from + wanted > WORD ? WORD - from : wanted);
  const bits = BigInt.asUintN(32, bigintOf(scalar)) >> from;
  return integer(scalar.type, scalar.type === "i32" ? BigInt.asIntN(width, bits) : BigInt.asUintN(width, bits));
}

function insert(scalar: Scalar, bits: Scalar, offset: Scalar, count: Scalar): Scalar {
  const [start, wanted] = [bigintOf(offset), bigintOf(count)];
  const from = start < WORD ? start : WORD;
  const width = from + wanted > WORD ? WORD - from : wanted;
  const mask = ((1n << width) - 1n) << from;
  return integer(scalar.type, (bigintOf(scalar) & ~mask) | ((bigintOf(bits) << from) & mask));
}

function length(value: Value): Scalar {
  if (value.kind !== "vector") return float(elementType(value), Math.abs(Number(scalarIn(value).value)));
  return float(value.type, Math.sqrt(Number(dot(value, value).value)));
}

function cross(args: readonly Value[]): Vector {
  const [a, b] = args.map(vectorIn);
  const [left, right] = [given(a), given(b)];
  const part = (i: number, j: number): Scalar => {
    const times = (x: Scalar, y: Scalar): Scalar => arithmetic("*", left.type, x, y);
    return arithmetic("-", left.type, times(itemOf(left.items, i), itemOf(right.items, j)), times(itemOf(left.items, j), itemOf(right.items, i)));
  };
  return { kind: "vector", type: left.type, items: [part(1, 2), part(2, 0), part(0, 1)] };
}

function refract(args: readonly Value[]): Value {
  const [incident, normal] = [vectorIn(args[0]), vectorIn(args[1])];
  const ratio = Number(scalarIn(args[2]).value);
  const cosine = Number(dot(normal, incident).value);
  const k = 1 - ratio * ratio * (1 - cosine * cosine);
  const parts = incident.items.map((item, index) => {
    const along = Number(itemOf(normal.items, index).value);
    return float(incident.type, k < 0 ? 0 : ratio * Number(item.value) - (ratio * cosine + Math.sqrt(k)) * along);
  });
  return { kind: "vector", type: incident.type, items: parts };
}

function matrixIn(value: Value | undefined): Matrix {
  if (value?.kind !== "matrix") throw new NotConstantError(`a ${value?.kind ?? "nothing"} stands where a matrix belongs`);
  return value;
}

function transpose(matrix: Matrix): Matrix {
  return { kind: "matrix", type: matrix.type, columns: itemOf(matrix.columns, 0).items.map((_, index) => rowOf(matrix, index)) };
}

function determinant({ type, columns }: Matrix): Scalar {
  const laplace = (rows: readonly (readonly number[])[]): number =>
    rows.length === 1
      ? (rows[0]?.[0] ?? 0)
      : (rows[0] ?? []).reduce((sum, value, at) => {
          const minor = rows.slice(1).map((row) => row.filter((_, index) => index !== at));
          return sum + (at % 2 ? -value : value) * laplace(minor);
        }, 0);
  return float(type, laplace(columns.map((column) => column.items.map((item) => Number(item.value)))));
}

function struct(name: string, members: Readonly<Record<string, Value>>): StructValue {
  return { kind: "struct", name, members: new Map(Object.entries(members)) };
}

function modf(value: Value): StructValue {
  const whole = mapScalars(value, elementType(value), (scalar) => float(scalar.type, Math.trunc(Number(scalar.value))));
  return struct("__modf_result", { whole, fract: binary("-", value, whole) });
}

function frexp(value: Value): StructValue {
  const type = elementType(value);
  const split = (x: number): readonly [number, number] => {
    if (x === 0) return [0, 0];
    let exponent = Math.floor(Math.log2(Math.abs(x))) + 1;
    if (Math.abs(x) * 2 ** -exponent >= 1) exponent++;
    return [x * 2 ** -exponent, exponent];
  };
  const integers: ScalarType = type === "abstract-float" ? "abstract-int" : "i32";
  const fract = mapScalars(value, type, (scalar) => float(type, split(Number(scalar.value))[0]));
  const exp = mapScalars(value, integers, (scalar) => integer(integers, BigInt(split(Number(scalar.value))[1])));
  return struct("__frexp_result", { fract, exp });
}
