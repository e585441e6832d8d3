/** Evaluates const- and override-expressions: all that array counts, attributes, workgroup sizes and overrides are made of. */
import type { TypeInfo } from "../protocol.gen.js";
import { builtin } from "./builtins.js";
import type { TypeSyntax } from "./cursor.js";
import { type Expression, parseExpression } from "./expressions.js";
import type { Token } from "./lexer.js";
import { binary, itemOf, scalarIn, unary, vectorIn } from "./operators.js";
import { bitcast } from "./packing.js";
import {
  bool,
  castScalar,
  castTo,
  commonType,
  concrete,
  convert,
  elementType,
  isTrue,
  NotConstantError,
  type Scalar,
  type ScalarType,
  scalarType,
  toNumber,
  type Value,
  type Vector,
  vectorOf,
  zero,
} from "./values.js";

/** What a module declares, as its expressions see it. */
export interface Scope {
  /** The value of a `const` or an `override`. */
  value(name: string): Value;
  type(syntax: TypeSyntax): TypeInfo;
  /** Whether the module itself declares that name. */
  declares(name: string): boolean;
}

const CONSTRUCTOR = /^(bool|i32|u32|f32|f16|(vec[234]|mat[234]x[234])[fiuh]?|array)$/;
const SWIZZLES = ["xyzw", "rgba"];

/** Evaluate an expression. */
export function evaluate(tokens: readonly Token[], scope: Scope): Value {
  return evaluated(parseExpression(tokens), scope);
}

function evaluated(tree: Expression, scope: Scope): Value {
  switch (tree.kind) {
    case "literal":
      return tree.value;
    case "name":
      return scope.value(tree.name);
    case "call":
      return call(
        tree.callee,
        tree.args.map((arg) => evaluated(arg, scope)),
        scope,
      );
    case "index":
      return indexed(evaluated(tree.base, scope), toNumber(evaluated(tree.index, scope)));
    case "member":
      return member(evaluated(tree.base, scope), tree.name);
    case "unary":
      return unary(tree.op, evaluated(tree.operand, scope));
    default: {
      const left = evaluated(tree.left, scope);
      if (tree.op === "&&" && !isTrue(left)) return bool(false);
      if (tree.op === "||" && isTrue(left)) return bool(true);
      const right = evaluated(tree.right, scope);
      return tree.op === "&&" || tree.op === "||" ? bool(isTrue(right)) : binary(tree.op, left, right);
    }
  }
}

function indexed(base: Value, index: number): Value {
  if (base.kind === "matrix") return itemOf(base.columns, index);
  if (base.kind === "vector" || base.kind === "array") return itemOf<Value>(base.items, index);
  throw new NotConstantError(`a ${base.kind} has no items`);
}

function member(base: Value, name: string): Value {
  if (base.kind === "struct") {
    const found = base.members.get(name);
    if (!found) throw new NotConstantError(`${base.name} has no member ${name}`);
    return found;
  }
  const { type, items } = vectorIn(base);
  const letters = SWIZZLES.find((known) => known.includes(name.charAt(0)));
  if (!letters) throw new NotConstantError(`a vector has no member ${name}`);
  const parts = [...name].map((letter) => itemOf(items, letters.indexOf(letter)));
  return parts.length === 1 ? itemOf(parts, 0) : { kind: "vector", type, items: parts };
}

function call(callee: TypeSyntax, args: readonly Value[], scope: Scope): Value {
  const { name } = callee;
  if (scope.declares(name)) return construct(scope.type(callee), args);
  if (name === "bitcast") return castBits(scope.type(itemOf(callee.args, 0)), args);
  if (CONSTRUCTOR.test(name)) return callee.args.length > 0 || !/^(vec.|mat...|array)$/.test(name) ? construct(scope.type(callee), args) : infer(name, args);
  const known = builtin(name);
  if (!known) throw new NotConstantError(`${name}() has no constant value`);
  return known(args);
}

function castBits(type: TypeInfo, [value]: readonly Value[]): Value {
  if (!value) throw new NotConstantError("bitcast needs a value");
  const source = castTo(value, concrete(elementType(value)));
  if (type.type === "scalar") return bitcast(source, scalarType(type.name), 1);
  if (type.type === "vector") return bitcast(source, scalarType(type.elem), type.count);
  throw new NotConstantError(`bitcast to a ${type.type}`);
}

/** A constructor that says its type. */
function construct(type: TypeInfo, args: readonly Value[]): Value {
  if (args.length === 0) return zero(type);
  switch (type.type) {
    case "scalar":
      return castScalar(scalarIn(args[0]), scalarType(type.name));
    case "vector":
      return vector(scalarType(type.elem), type.count, args);
    case "matrix":
      return matrix(scalarType(type.elem), type.columns, type.rows, args);
    case "array":
      return { kind: "array", items: args.map((arg) => convert(arg, type.elem)) };
    case "struct":
      return { kind: "struct", name: type.name, members: new Map(type.members.map((found, index) => [found.name, convert(itemOf(args, index), found.type)])) };
    default:
      throw new NotConstantError(`${type.name} has no constructor`);
  }
}

/** A constructor whose arguments say its type: `vec3(1, 2.5, 3)`. */
function infer(name: string, args: readonly Value[]): Value {
  if (name === "array") {
    const plain = args.every((arg) => arg.kind === "scalar" || arg.kind === "vector" || arg.kind === "matrix");
    const type = plain ? commonType(args.map(elementType)) : undefined;
    return { kind: "array", items: args.map((arg) => (type ? castTo(arg, type) : arg)) };
  }
  const [first = 0, second = 0] = (name.match(/\d/g) ?? []).map(Number);
  const types = args.map(elementType);
  if (args.length === 0) return vectorOf("abstract-int", first);
  if (name.startsWith("vec")) return vector(commonType(types), first, args);
  return matrix(commonType(["abstract-float", ...types]), first, second, args);
}

function vector(type: ScalarType, count: number, args: readonly Value[]): Vector {
  const scalars = args.flatMap((arg): readonly Scalar[] => (arg.kind === "vector" ? arg.items : [scalarIn(arg)]));
  const items = args.length === 1 && scalars.length === 1 ? Array.from({ length: count }, () => itemOf(scalars, 0)) : scalars;
  if (items.length !== count) throw new NotConstantError(`vec${count} of ${items.length} components`);
  return { kind: "vector", type, items: items.map((item) => castScalar(item, type)) };
}

function matrix(type: ScalarType, columns: number, rows: number, args: readonly Value[]): Value {
  const [whole] = args;
  if (args.length === 1 && whole?.kind === "matrix") return castTo(whole, type);
  const scalars = args.flatMap((arg): readonly Scalar[] => (arg.kind === "vector" ? arg.items : [scalarIn(arg)]));
  if (scalars.length !== columns * rows) throw new NotConstantError(`mat${columns}x${rows} of ${scalars.length} components`);
  return { kind: "matrix", type, columns: Array.from({ length: columns }, (_, at) => vector(type, rows, scalars.slice(at * rows, (at + 1) * rows))) };
}
