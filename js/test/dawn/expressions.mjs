// Random const-expressions of every scalar type, for an oracle to judge.

// What jumps (floor, %, comparisons, casts to integers) is not asked of float16: two roundings of an operand that WGSL allows can fall on either side.
const FLOATS = ["abstract-float", "f32", "f16"];
const INTEGERS = ["abstract-int", "i32", "u32"];
export const TYPES = [...FLOATS, ...INTEGERS, "bool"];
const SUFFIXES = { i32: "i", u32: "u", f32: "f", f16: "h" };
const EXACT = ["floor", "ceil", "round", "trunc", "fract", "saturate"];
const ROUNDED = ["sin", "cos", "atan", "tanh", "radians", "degrees", "exp2", "log2"];
/** How many operations deep the expressions are. */
export const DEEPEST = 3;
const BIT_FUNCTIONS = ["countOneBits", "countLeadingZeros", "countTrailingZeros", "firstLeadingBit", "firstTrailingBit", "reverseBits"];

/** A generator of expressions from a seed. */
export class Expressions {
  constructor(seed) {
    this.state = seed;
  }

  random() {
    this.state = (this.state * 1664525 + 1013904223) % 2 ** 32;
    return this.state / 2 ** 32;
  }

  below(count) {
    return Math.floor(this.random() * count);
  }

  pick(choices) {
    return choices[this.below(choices.length)];
  }

  literal(type) {
    const whole = this.below(this.pick([4, 20, 300, 70000]));
    const part = (this.random() * this.pick([1, 10, 300])).toFixed(this.pick([1, 3, 5]));
    const hex = whole.toString(16);
    switch (type) {
      case "abstract-int":
        return this.pick([`${whole}`, `0x${hex}`, `-${whole}`]);
      case "abstract-float":
        return this.pick([part, `${part}e1`, `0x${hex}p-3`, `-${part}`, `0x1.${hex}p2`]);
      case "i32":
        return `${this.pick(["", "-"])}${whole}i`;
      case "u32":
        return this.pick([`${whole}u`, `0x${hex}u`]);
      case "f32":
        return this.pick([`${part}f`, `0x${hex}p-1f`, `${whole}f`]);
      case "f16":
        return `${(this.random() * 20).toFixed(this.below(4))}h`;
      default:
        return this.pick(["true", "false"]);
    }
  }

  /** An expression of a scalar type, at most `depth` operations deep. */
  scalar(type, depth) {
    if (depth <= 0) return this.literal(type);
    const more = (other = type) => this.scalar(other, depth - 1);
    const ways = [
      () => this.literal(type),
      () => `select(${more()}, ${more()}, ${more("bool")})`,
      () => `${this.vector(type, depth - 1, 3)}.${this.pick([..."xyzbr"])}`,
      () => `${this.vector(type, depth - 1, 4)}[${this.below(4)}]`,
      () => `array(${more()}, ${more()}, ${more()})[${this.below(3)}]`,
    ];
    if (type === "bool") ways.push(...this.truths(depth));
    else ways.push(...this.numbers(type, depth));
    if (INTEGERS.includes(type)) ways.push(...this.integers(type, depth));
    if (FLOATS.includes(type)) ways.push(...this.floats(type, depth));
    return this.pick(ways)();
  }

  truths(depth) {
    const more = (type = "bool") => this.scalar(type, depth - 1);
    const compare = () => {
      const type = this.pick(["abstract-float", "f32", ...INTEGERS]);
      return `(${more(type)} ${this.pick(["<", ">", "<=", ">=", "==", "!="])} ${more(type)})`;
    };
    return [
      compare,
      () => `(${more()} ${this.pick(["&&", "||", "&", "|", "==", "!="])} (${more()}))`,
      () => `!${more()}`,
      () => `${this.pick(["all", "any"])}(${this.vector("bool", depth - 1, 3)})`,
      () => `bool(${more(this.pick(["f32", "bool", ...INTEGERS]))})`,
    ];
  }

  numbers(type, depth) {
    const more = (other = type) => this.scalar(other, depth - 1);
    const ways = [
      () => `(${more()} ${this.pick(type === "f16" ? ["+", "-", "*"] : ["+", "-", "*", "/", "%"])} ${more()})`,
      () => `${this.pick(["min", "max"])}(${more()}, ${more()})`,
      () => `clamp(${more()}, ${more()}, ${more()})`,
      () => `abs(${more()})`,
    ];
    if (type !== "f16") ways.push(() => `dot(${this.vector(type, depth - 1, 3)}, ${this.vector(type, depth - 1, 3)})`);
    if (type !== "u32") ways.push(() => `(-${more()})`);
    if (type !== "u32" && type !== "f16") ways.push(() => `sign(${more()})`);
    const sources = TYPES.filter((source) => source !== "f16" || !INTEGERS.includes(type));
    if (SUFFIXES[type]) ways.push(() => `${type}(${more(this.pick(sources))})`);
    return ways;
  }

  integers(type, depth) {
    const more = (other = type) => this.scalar(other, depth - 1);
    const ways = [
      () => `(${more()} ${this.pick(["&", "|", "^"])} ${more()})`,
      () => `(${more()} ${this.pick(["<<", ">>"])} ${this.below(9)}u)`,
      () => `(~${more()})`,
    ];
    if (type === "abstract-int") return ways;
    ways.push(
      () => `${this.pick(BIT_FUNCTIONS)}(${more()})`,
      () => `extractBits(${more()}, ${this.below(20)}u, ${this.below(12)}u)`,
      () => `insertBits(${more()}, ${more()}, ${this.below(20)}u, ${this.below(12)}u)`,
      () => `bitcast<${type}>(${more(this.pick(["i32", "u32", "f32"]))})`,
    );
    if (type === "i32")
      ways.push(
        () => `unpack4xI8(${more("u32")}).z`,
        () => `dot4I8Packed(${more("u32")}, ${more("u32")})`,
      );
    else
      ways.push(
        () => `${this.pick(["pack4x8unorm", "pack4x8snorm"])}(${this.vector("f32", depth - 1, 4)})`,
        () => `${this.pick(["pack2x16float", "pack2x16snorm", "pack2x16unorm"])}(${this.vector("f32", depth - 1, 2)})`,
        () => `${this.pick(["pack4xU8", "pack4xU8Clamp"])}(${this.vector("u32", depth - 1, 4)})`,
        () => `${this.pick(["pack4xI8", "pack4xI8Clamp"])}(${this.vector("i32", depth - 1, 4)})`,
        () => `dot4U8Packed(${more()}, ${more()})`,
      );
    return ways;
  }

  floats(type, depth) {
    const more = (other = type) => this.scalar(other, depth - 1);
    const vector = (count) => this.vector(type, depth - 1, count);
    const exact = [
      () => `${this.pick(EXACT)}(${more()})`,
      () => `mix(${more()}, ${more()}, ${more()})`,
      () => `step(${more()}, ${more()})`,
      () => `smoothstep(0.0, 1.5, ${more()})`,
      () => `fma(${more()}, ${more()}, ${more()})`,
      () => `modf(${more()}).${this.pick(["fract", "whole"])}`,
      () => `frexp(${more()}).fract`,
      () => `ldexp(${more()}, 3)`,
      () => `cross(${vector(3)}, ${vector(3)}).y`,
      () => `transpose(mat2x3(${vector(3)}, ${vector(3)}))[1][1]`,
    ];
    if (type === "f32") exact.push(() => `quantizeToF16(${more()})`);
    // What may differ in its last digit comes last, where nothing makes more of that: no jump, no bits, no difference of it.
    const rounded = [
      () => `${this.pick(ROUNDED)}(${more()})`,
      () => `sqrt(abs(${more()}))`,
      () => `length(${vector(3)})`,
      () => `determinant(mat2x2(${more()}, ${more()}, ${more()}, ${more()}))`,
      () => `(mat2x2(${more()}, ${more()}, ${more()}, ${more()}) * ${vector(2)}).x`,
      () => `(${vector(3)} * mat2x3(${vector(3)}, ${vector(3)})).y`,
    ];
    if (type === "f32") rounded.push(() => `${this.pick(["unpack4x8unorm", "unpack4x8snorm", "unpack2x16snorm"])}(${more("u32")}).x`);
    if (type === "f16") return [() => `saturate(${more()})`, () => `sqrt(abs(${more()}))`];
    return depth === DEEPEST ? [...exact, ...rounded] : exact;
  }

  vector(type, depth, count) {
    const suffix = SUFFIXES[type];
    const parts = () => Array.from({ length: count }, () => this.scalar(type, depth - 1)).join(", ");
    const one = () => this.scalar(type, depth - 1);
    const ways = [
      () => `vec${count}(${parts()})`,
      () => `vec${count}(${one()})`,
      () => `(vec${count}(${parts()}) ${type === "bool" ? "&" : "+"} vec${count}(${one()}))`,
    ];
    if (type === "bool") ways.push(() => `(vec${count}(${this.scalar("i32", depth - 1)}) < vec${count}(${this.scalar("i32", depth - 1)}))`);
    if (suffix)
      ways.push(
        () => `vec${count}<${type}>(${parts()})`,
        () => `vec${count}${suffix}(${parts()})`,
        () => `vec${count}${suffix}()`,
      );
    return this.pick(ways)();
  }
}
