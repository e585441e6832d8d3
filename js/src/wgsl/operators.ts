/** Operators of WGSL's const-expressions (WGSL, "Expressions"). */
import {
  bigintOf,
  bool,
  castScalar,
  castTo,
  commonType,
  elementType,
  float,
  integer,
  isFloat,
  isTrue,
  type Matrix,
  mapScalars,
  NotConstantError,
  type Scalar,
  type ScalarType,
  type Value,
  type Vector,
} from "./values.js";

const COMPARISONS = new Set(["==", "!=", "<", ">", "<=", ">="]);

/** Apply an operator of two operands that have both been computed. */
export function binary(op: string, left: Value, right: Value): Value {
  if (op === "<<" || op === ">>") return componentwise([left, right], elementType(left), ([a, b]) => shift(op, a, b));
  const type = commonType([elementType(left), elementType(right)]);
  const [a, b] = [castTo(left, type), castTo(right, type)];
  if (op === "*" && (a.kind === "matrix" || b.kind === "matrix") && a.kind !== "scalar" && b.kind !== "scalar") return product(a, b);
  if (COMPARISONS.has(op)) return componentwise([a, b], "bool", ([x, y]) => bool(compare(op, x.value, y.value)));
  return componentwise([a, b], type, ([x, y]) => arithmetic(op, type, x, y));
}

/** Apply an operator of one operand. */
export function unary(op: string, operand: Value): Value {
  const type = elementType(operand);
  if (op === "!") return mapScalars(operand, type, (scalar) => bool(!isTrue(scalar)));
  if (op === "~") return mapScalars(operand, type, (scalar) => integer(type, ~bigintOf(scalar)));
  return mapScalars(operand, type, (scalar) => (isFloat(type) ? float(type, -Number(scalar.value)) : integer(type, -bigintOf(scalar))));
}

type Scalars = [Scalar, Scalar, Scalar, Scalar];

/** Apply a function to components in step; scalars stand for each component. */
export function componentwise(args: readonly Value[], type: ScalarType, apply: (scalars: Scalars) => Scalar): Value {
  const shaped = args.find((arg) => arg.kind !== "scalar");
  if (!shaped) return apply(args as Scalars);
  if (shaped.kind === "matrix") {
    const columns = shaped.columns.map((_, index) =>
      vectorIn(
        componentwise(
          args.map((arg) => (arg.kind === "matrix" ? itemOf(arg.columns, index) : arg)),
          type,
          apply,
        ),
      ),
    );
    return { kind: "matrix", type, columns };
  }
  if (shaped.kind !== "vector") throw new NotConstantError(`a ${shaped.kind} has no arithmetic`);
  const items = shaped.items.map((_, index) => apply(args.map((arg) => (arg.kind === "vector" ? itemOf(arg.items, index) : scalarIn(arg))) as Scalars));
  return { kind: "vector", type, items };
}

/** A value that must be a vector. */
export function vectorIn(value: Value | undefined): Vector {
  if (value?.kind !== "vector") throw new NotConstantError(`a ${value?.kind ?? "nothing"} stands where a vector belongs`);
  return value;
}

/** A value that must be a scalar. */
export function scalarIn(value: Value | undefined): Scalar {
  if (value?.kind !== "scalar") throw new NotConstantError(`a ${value?.kind ?? "nothing"} stands where a scalar belongs`);
  return value;
}

/** An item that must be there. */
export function itemOf<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) throw new NotConstantError(`there is no item ${index} of ${items.length}`);
  return item;
}

/** The sum of products of components. */
export function dot(left: Vector, right: Vector): Scalar {
  const products = left.items.map((item, index) => arithmetic("*", left.type, item, itemOf(right.items, index)));
  return products.reduce((sum, item) => arithmetic("+", left.type, sum, item));
}

/** Row `index` of a matrix. */
export function rowOf(matrix: Matrix, index: number): Vector {
  return { kind: "vector", type: matrix.type, items: matrix.columns.map((column) => itemOf(column.items, index)) };
}

function product(left: Value, right: Value): Value {
  if (left.kind === "vector" && right.kind === "matrix") return { kind: "vector", type: left.type, items: right.columns.map((column) => dot(left, column)) };
  if (left.kind !== "matrix") throw new NotConstantError(`a ${left.kind} times a ${right.kind}`);
  if (right.kind === "vector") {
    const rows = itemOf(left.columns, 0).items.length;
    return { kind: "vector", type: left.type, items: Array.from({ length: rows }, (_, index) => dot(rowOf(left, index), right)) };
  }
  if (right.kind !== "matrix") throw new NotConstantError(`a matrix times a ${right.kind}`);
  return { kind: "matrix", type: left.type, columns: right.columns.map((column) => vectorIn(product(left, column))) };
}

function compare(op: string, a: Scalar["value"], b: Scalar["value"]): boolean {
  switch (op) {
    case "==":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case ">":
      return a > b;
    case "<=":
      return a <= b;
    default:
      return a >= b;
  }
}

function shift(op: string, value: Scalar, by: Scalar): Scalar {
  const [bits, count] = [bigintOf(value), bigintOf(castScalar(by, "u32"))];
  return integer(value.type, op === "<<" ? bits << count : bits >> count);
}

/** Apply an arithmetic or logical operator to two scalars of one type. */
export function arithmetic(op: string, type: ScalarType, left: Scalar, right: Scalar): Scalar {
  if (type === "bool") return logic(op, isTrue(left), isTrue(right));
  if (isFloat(type) && op === "%") return remainder(type, left, right);
  if (isFloat(type)) return float(type, floats(op, Number(left.value), Number(right.value)));
  return integer(type, integers(op, bigintOf(left), bigintOf(right)));
}

/** As WGSL says it, each step rounded: `a - b * trunc(a / b)`. */
function remainder(type: ScalarType, left: Scalar, right: Scalar): Scalar {
  const quotient = arithmetic("/", type, left, right);
  const whole = float(type, Math.trunc(Number(quotient.value)));
  return arithmetic("-", type, left, arithmetic("*", type, right, whole));
}

function logic(op: string, a: boolean, b: boolean): Scalar {
  if (op === "&") return bool(a && b);
  if (op === "|") return bool(a || b);
  throw new NotConstantError(`${op} is no operator of truth values`);
}

function floats(op: string, a: number, b: number): number {
  switch (op) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      return a / b;
    default:
      throw new NotConstantError(`${op} is no operator of floats`);
  }
}

function integers(op: string, a: bigint, b: bigint): bigint {
  switch (op) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
    case "%":
      if (b === 0n) throw new NotConstantError("an integer is divided by zero");
      return op === "/" ? a / b : a % b;
    case "&":
      return a & b;
    case "|":
      return a | b;
    case "^":
      return a ^ b;
    default:
      throw new NotConstantError(`${op} is no operator of integers`);
  }
}
