/** Values of uniforms, as they come over the wire, in WGSL's layout. */
import { EngineError } from "../../errors.js";
import type { TypeInfo } from "../../protocol.gen.js";

type Scalar = "f32" | "i32" | "u32" | "bool" | "f16";

const RANGES: Readonly<Record<string, readonly [number, number]>> = { i32: [-(2 ** 31), 2 ** 31 - 1], u32: [0, 2 ** 32 - 1] };
const COLOR = /^#([0-9a-f]{3}|[0-9a-f]{4}|[0-9a-f]{6}|[0-9a-f]{8})$/i;

function refuse(name: string, said: string): EngineError {
  return new EngineError("binding", `the uniform ${name} ${said}`);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The numbers of a colour as HTML writes it, 0 to 1, with alpha. */
export function colorOf(text: string): number[] | undefined {
  const digits = COLOR.exec(text)?.[1];
  if (digits === undefined) return undefined;
  const pairs = digits.length < 6 ? [...digits].map((digit) => digit + digit) : (digits.match(/../g) ?? []);
  const parts = pairs.map((pair) => Number.parseInt(pair, 16) / 255);
  return parts.length === 3 ? [...parts, 1] : parts;
}

function put(view: DataView, at: number, scalar: Scalar, value: unknown, name: string): void {
  const number = typeof value === "boolean" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number)) throw refuse(name, `is ${shown(value)}; it is ${scalar}, a finite number`);
  if (scalar === "f32") {
    if (!Number.isFinite(Math.fround(number))) throw refuse(name, `is ${number}, beyond the largest f32, 3.4e38`);
    view.setFloat32(at, number, true);
    return;
  }
  if (scalar === "f16") throw refuse(name, "is f16, which a view does not pack: declare it f32");
  const [least, most] = RANGES[scalar] ?? [0, 1];
  if (!Number.isInteger(number) || number < least || number > most)
    throw refuse(name, `is ${number}; it is ${scalar}, a whole number from ${least} to ${most}`);
  view.setUint32(at, number >>> 0, true);
}

function listOf(value: unknown, count: number, what: string, name: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length !== count) throw refuse(name, `is ${shown(value)}; it is ${what}, a list of ${count}`);
  return value;
}

function fill(view: DataView, at: number, type: TypeInfo, value: unknown, name: string): void {
  switch (type.type) {
    case "scalar":
      put(view, at, type.name as Scalar, value, name);
      return;
    case "vector": {
      const color = typeof value === "string" ? colorOf(value)?.slice(0, type.count) : value;
      const items = listOf(color ?? value, type.count, `vec${type.count}<${type.elem}>`, name);
      items.forEach((item, index) => {
        put(view, at + 4 * index, type.elem as Scalar, item, name);
      });
      return;
    }
    case "matrix": {
      // Rows, as NumPy has them: (R, C) is a matCxR.
      const step = type.size / type.columns;
      listOf(value, type.rows, `mat${type.columns}x${type.rows}, ${type.rows} rows`, name).forEach((row, r) => {
        listOf(row, type.columns, `a row of ${type.columns}`, name).forEach((item, c) => {
          put(view, at + step * c + 4 * r, type.elem as Scalar, item, name);
        });
      });
      return;
    }
    case "array":
      listOf(value, type.count, `an array of ${type.count}`, name).forEach((item, index) => {
        fill(view, at + type.stride * index, type.elem, item, `${name}[${index}]`);
      });
      return;
    case "struct": {
      const fields = value as Readonly<Record<string, unknown>> | null;
      if (typeof fields !== "object" || fields === null || Array.isArray(fields)) throw refuse(name, `is ${shown(value)}; it is the struct ${type.name}`);
      for (const member of type.members) {
        if (Object.hasOwn(fields, member.name)) fill(view, at + member.offset, member.type, fields[member.name], `${name}.${member.name}`);
        else if (!/^(_|pad)/.test(member.name))
          throw refuse(name, `lacks ${member.name}; the struct ${type.name} has ${type.members.map((m) => m.name).join(", ")}`);
      }
      return;
    }
    default:
      throw refuse(name, `has the type ${type.type}, which is no uniform's`);
  }
}

/** Bytes of a uniform, filled up to 16. */
export function pack(type: TypeInfo, value: unknown, name: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil(type.size / 16) * 16);
  fill(new DataView(bytes.buffer), 0, type, value, name);
  return bytes;
}
