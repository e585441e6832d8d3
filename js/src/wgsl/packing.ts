/** Functions that pack vectors into 32 bits and back, and the reinterpretation of bits (WGSL, "Data Packing Built-in Functions"). */
import { itemOf, scalarIn, vectorIn } from "./operators.js";
import {
  bigintOf,
  castScalar,
  elementType,
  float,
  integer,
  isFloat,
  NotConstantError,
  roundToHalf,
  type Scalar,
  type ScalarType,
  type Value,
  type Vector,
} from "./values.js";

type Packer = (args: readonly Value[]) => Value;
type Encode = (value: number) => number;

const SIZES: Partial<Record<ScalarType, number>> = { f16: 2 };

const within = (low: number, high: number, x: number): number => Math.min(Math.max(x, low), high);
/** The nearest whole number of a product of float32, halves upwards. */
const whole = (x: number): number => Math.floor(Math.fround(0.5 + Math.fround(x)));

const ENCODERS: Readonly<Record<string, { readonly bits: number; readonly encode: Encode }>> = {
  pack4x8snorm: { bits: 8, encode: (x) => whole(127 * within(-1, 1, x)) },
  pack4x8unorm: { bits: 8, encode: (x) => whole(255 * within(0, 1, x)) },
  pack4xI8: { bits: 8, encode: (x) => x },
  pack4xU8: { bits: 8, encode: (x) => x },
  pack4xI8Clamp: { bits: 8, encode: (x) => within(-128, 127, x) },
  pack4xU8Clamp: { bits: 8, encode: (x) => within(0, 255, x) },
  pack2x16snorm: { bits: 16, encode: (x) => whole(32767 * within(-1, 1, x)) },
  pack2x16unorm: { bits: 16, encode: (x) => whole(65535 * within(0, 1, x)) },
  pack2x16float: { bits: 16, encode: (x) => halfBits(roundToHalf(x)) },
};

const DECODERS: Readonly<Record<string, { readonly bits: number; readonly type: ScalarType; readonly signed: boolean; readonly decode: Encode }>> = {
  unpack4x8snorm: { bits: 8, type: "f32", signed: true, decode: (x) => Math.max(x / 127, -1) },
  unpack4x8unorm: { bits: 8, type: "f32", signed: false, decode: (x) => x / 255 },
  unpack4xI8: { bits: 8, type: "i32", signed: true, decode: (x) => x },
  unpack4xU8: { bits: 8, type: "u32", signed: false, decode: (x) => x },
  unpack2x16snorm: { bits: 16, type: "f32", signed: true, decode: (x) => Math.max(x / 32767, -1) },
  unpack2x16unorm: { bits: 16, type: "f32", signed: false, decode: (x) => x / 65535 },
  unpack2x16float: { bits: 16, type: "f32", signed: false, decode: (x) => halfFrom(x) },
};

/** The functions by name. */
export const PACKING: Readonly<Record<string, Packer>> = {
  ...Object.fromEntries(
    Object.entries(ENCODERS).map(([name, { bits, encode }]) => [name, ([vector]) => pack(vectorIn(vector), bits, encode)] satisfies [string, Packer]),
  ),
  ...Object.fromEntries(
    Object.entries(DECODERS).map(
      ([name, { bits, type, signed, decode }]) => [name, ([word]) => unpack(scalarIn(word), bits, type, signed, decode)] satisfies [string, Packer],
    ),
  ),
  dot4I8Packed: ([a, b]) => packedDot(scalarIn(a), scalarIn(b), "i32"),
  dot4U8Packed: ([a, b]) => packedDot(scalarIn(a), scalarIn(b), "u32"),
};

function pack(vector: Vector, bits: number, encode: Encode): Scalar {
  const word = vector.items.reduce((sum, item, index) => sum | (BigInt.asUintN(bits, BigInt(encode(Number(item.value)))) << BigInt(bits * index)), 0n);
  return integer("u32", word);
}

function unpack(word: Scalar, bits: number, type: ScalarType, signed: boolean, decode: Encode): Vector {
  const items = Array.from({ length: 32 / bits }, (_, index) => {
    const part = BigInt.asUintN(bits, bigintOf(word) >> BigInt(bits * index));
    const value = decode(Number(signed ? BigInt.asIntN(bits, part) : part));
    return isFloat(type) ? float(type, value) : integer(type, BigInt(value));
  });
  return { kind: "vector", type, items };
}

function packedDot(a: Scalar, b: Scalar, type: ScalarType): Scalar {
  const numbers = (word: Scalar): number[] => unpack(word, 8, type, type === "i32", (x) => x).items.map((item) => Number(item.value));
  const right = numbers(b);
  return integer(type, BigInt(numbers(a).reduce((sum, x, index) => sum + x * itemOf(right, index), 0)));
}

function halfBits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  if (size === Number.POSITIVE_INFINITY) return sign | 0x7c00;
  const exponent = size < 2 ** -14 ? -15 : Math.floor(Math.log2(size));
  const mantissa = exponent === -15 ? size * 2 ** 24 : (size * 2 ** -exponent - 1) * 1024;
  return sign | ((exponent + 15) << 10) | mantissa;
}

function halfFrom(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, mantissa] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1024 + mantissa) * 2 ** (exponent - 25) : mantissa * 2 ** -24);
}

/** The bits of a value as another type of the same size, as `bitcast` does. */
export function bitcast(value: Value, type: ScalarType, count: number): Value {
  const scalars = value.kind === "vector" ? value.items : [scalarIn(value)];
  if (elementType(value) === type) return value;
  const bytes = new DataView(new ArrayBuffer(16));
  let at = 0;
  for (const scalar of scalars) {
    const size = SIZES[scalar.type] ?? 4;
    if (scalar.type === "f16") bytes.setUint16(at, halfBits(Number(scalar.value)), true);
    else if (isFloat(scalar.type)) bytes.setFloat32(at, Number(scalar.value), true);
    else bytes.setInt32(at, Number(bigintOf(castScalar(scalar, "i32"))), true);
    at += size;
  }
  const size = SIZES[type] ?? 4;
  if (at !== size * count) throw new NotConstantError(`bitcast of ${at} bytes to ${size * count}`);
  const items = Array.from({ length: count }, (_, index): Scalar => {
    if (type === "f16") return float(type, halfFrom(bytes.getUint16(2 * index, true)));
    if (type === "f32") return float(type, bytes.getFloat32(4 * index, true));
    return integer(type, BigInt(bytes.getInt32(4 * index, true)));
  });
  return count === 1 ? itemOf(items, 0) : { kind: "vector", type, items };
}
