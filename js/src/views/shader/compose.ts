/** A whole module of a user's WGSL: what it leaves out is declared behind it, so that its lines keep their numbers. */
import { EngineError } from "../../errors.js";
import type { ViewInput, ViewState } from "../../protocol.gen.js";
import type { Declaration, Signature } from "../../wgsl/parse.js";
import { parseModule, parseSignature } from "../../wgsl/parse.js";

/** What the names of a view stand for. */
export type Inputs = ViewState["_inputs"];

/** Shadertoy's names: what each frame sets. */
export const FRAME_TYPES: Readonly<Record<string, string>> = {
  iTime: "f32",
  iTimeDelta: "f32",
  iFrameRate: "f32",
  iFrame: "i32",
  iResolution: "vec3f",
  iMouse: "vec4f",
  iDate: "vec4f",
};

/** Names that the composed module adds, beside those of inputs. */
export const SCALE = "view_scale_";
export const NAN_PIXELS = "view_nan_pixels_";
const DRAW = "view_draw_";

/**
 * - function: a function from position and time to a colour, called by a fragment shader that is added;
 * - fragment: the user's own fragment shader;
 * - compute: a kernel that writes a storage texture.
 */
export type Form = "function" | "fragment" | "compute";

export interface Composed {
  readonly code: string;
  readonly form: Form;
  readonly entryPoint: string;
  /** Whether a picture depends on when it is drawn. */
  readonly animated: boolean;
  /** Whether positions count from the lower left corner, as Shadertoy's do. */
  readonly yUp: boolean;
}

const FUNCTIONS = ["image", "mainImage", "main"];
const MOVING = new Set(["iTime", "iTimeDelta", "iFrame", "iFrameRate", "iDate"]);
const WANTED =
  "A view draws `fn image(position: vec2f, time: f32) -> vec4f` (also named main; or Shadertoy's `fn mainImage(fragCoord: vec2f) -> vec4f`, whose y points up), " +
  "a @fragment entry point, or a @compute entry point that writes a texture_storage_2d";

function stageOf(declaration: Declaration): string | undefined {
  return declaration.attributes.find(({ name }) => name === "compute" || name === "fragment" || name === "vertex")?.name;
}

function refuse(message: string): EngineError {
  return new EngineError("binding", message);
}

/** The function or the entry point that draws. */
function drawing(declarations: readonly Declaration[]): { declaration: Declaration; form: Form } {
  const functions = declarations.filter(({ kind }) => kind === "fn");
  const plain = FUNCTIONS.map((name) => functions.find((found) => found.name === name && !stageOf(found))).find((found) => found);
  if (plain) return { declaration: plain, form: "function" };
  for (const form of ["fragment", "compute"] as const) {
    const entries = functions.filter((found) => stageOf(found) === form);
    if (entries.length > 1)
      throw refuse(`the WGSL has ${entries.length} @${form} entry points, ${entries.map(({ name }) => name).join(", ")}, and a view draws one: leave one`);
    if (entries[0]) return { declaration: entries[0], form };
  }
  const names = functions.map(({ name }) => name).join(", ") || "no function";
  throw refuse(`the WGSL has nothing to draw; it declares ${names}. ${WANTED}`);
}

const POSITION = /^vec2(f|<f32>)$/;
const COLORS: Readonly<Record<string, string>> = { vec4f: "", "vec4<f32>": "", vec3f: ", 1.0", "vec3<f32>": ", 1.0" };

/** The call of the user's function that gives a colour of four numbers. */
function call(name: string, { parameters, returns }: Signature, position: string): { text: string; timed: boolean } {
  const written = (tokens: readonly { text: string }[] | undefined): string => (tokens ?? []).map(({ text }) => text).join("");
  let timed = false;
  const args = parameters.map((parameter) => {
    const type = written(parameter.type.tokens);
    if (POSITION.test(type)) return position;
    if (type === "f32") {
      timed = true;
      return "iTime";
    }
    throw refuse(`fn ${name} takes ${parameter.name}: ${type}; it takes a vec2f, which is the pixel's position, and an f32, which is the time. ${WANTED}`);
  });
  const rest = COLORS[written(returns?.tokens)];
  if (rest === undefined) throw refuse(`fn ${name} returns ${written(returns?.tokens) || "nothing"}; a colour is a vec4f or a vec3f. ${WANTED}`);
  return { text: `vec4f(${name}(${args.join(", ")})${rest})`, timed };
}

/** The number that an attribute of a variable says, where it is a plain one. */
function slotOf(declaration: Declaration, name: string): number {
  const text = declaration.attributes.find((attribute) => attribute.name === name)?.args[0]?.[0]?.text;
  return text === undefined ? -1 : Number.parseInt(text, 10);
}

const MOST_GROUPS = 4;

/** Gives out binding numbers of a group that the module has left free. */
class Slots {
  private readonly group: number;
  private next: number;

  constructor(declarations: readonly Declaration[]) {
    const taken = declarations.filter(({ kind }) => kind === "var").map((found) => ({ group: slotOf(found, "group"), binding: slotOf(found, "binding") }));
    this.group = Math.min(MOST_GROUPS - 1, Math.max(-1, ...taken.map(({ group }) => group)) + 1);
    this.next = Math.max(-1, ...taken.filter(({ group }) => group === this.group).map(({ binding }) => binding)) + 1;
  }

  declare(text: string): string {
    return `@group(${this.group}) @binding(${this.next++}) ${text};`;
  }
}

function declared(name: string, input: ViewInput): string {
  if (input.kind === "uniform") return `var<uniform> ${name}: ${input.type}`;
  return input.kind === "array" ? `var<storage, read> ${name}: ${input.type}` : `var ${name}: ${input.type}`;
}

/**
 * Complete a module.
 *
 * @throws WgslSyntaxError where it cannot be read; the browser's compiler says why
 */
export function compose(source: string, inputs: Inputs): Composed {
  const declarations = parseModule(source);
  const known = new Set(declarations.map(({ name }) => name));
  const used = new Set(declarations.flatMap(({ uses }) => [...uses]));
  const { declaration, form } = drawing(declarations);
  const yUp = form === "function" && declaration.name === "mainImage";
  const wrapper = form === "function" ? call(declaration.name, parseSignature(declaration.signature ?? []), "position") : undefined;
  if (wrapper?.timed) used.add("iTime");
  if (yUp) used.add("iResolution");
  const slots = new Slots(declarations);
  const added: string[] = [];
  for (const [name, type] of Object.entries(FRAME_TYPES)) {
    if (used.has(name) && !known.has(name) && !inputs[name]) added.push(slots.declare(`var<uniform> ${name}: ${type}`));
  }
  for (const [name, input] of Object.entries(inputs)) {
    if (used.has(name) && !known.has(name)) added.push(slots.declare(declared(name, input)));
  }
  let entryPoint = declaration.name;
  if (wrapper) {
    entryPoint = DRAW;
    added.push(
      slots.declare(`var<uniform> ${SCALE}: vec2f`),
      slots.declare(`var<storage, read_write> ${NAN_PIXELS}: atomic<u32>`),
      `@fragment fn ${DRAW}(@builtin(position) at: vec4f) -> @location(0) vec4f {`,
      yUp ? `  let position = vec2f(at.x * ${SCALE}.x, iResolution.y - at.y * ${SCALE}.y);` : `  let position = at.xy * ${SCALE};`,
      `  let color = ${wrapper.text};`,
      "  let bits = bitcast<vec4u>(color) & vec4u(0x7fffffffu);",
      `  if (any(bits > vec4u(0x7f800000u))) { atomicAdd(&${NAN_PIXELS}, 1u); return vec4f(1.0, 0.0, 1.0, 1.0); }`,
      "  return color;",
      "}",
    );
  }
  const animated = [...MOVING].some((name) => used.has(name) && !inputs[name]);
  return { code: `${source}\n${added.join("\n")}\n`, form, entryPoint, animated, yUp };
}
