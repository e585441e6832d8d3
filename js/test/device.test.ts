import { afterEach, describe, expect, it, vi } from "vitest";
import { openDevice } from "../src/device.js";

/** As browsers make them: attributes are getters of the prototype, and the object itself is bare. */
class MatrixConfig {
  readonly #values: readonly [string, string, number];

  constructor(...values: [string, string, number]) {
    this.#values = values;
  }
  get componentType() {
    return this.#values[0];
  }
  get resultComponentType() {
    return this.#values[1];
  }
  get M() {
    return this.#values[2];
  }
  get N() {
    return this.#values[2];
  }
  get K() {
    return this.#values[2];
  }
}
for (const name of ["componentType", "resultComponentType", "M", "N", "K"]) Object.defineProperty(MatrixConfig.prototype, name, { enumerable: true });

function offer(info: object): void {
  const device = { features: new Set<string>(), limits: {} };
  const adapter = { features: device.features, limits: {}, info, requestDevice: async () => device };
  const gpu = { wgslLanguageFeatures: new Set<string>(), getPreferredCanvasFormat: () => "rgba8unorm", requestAdapter: async () => adapter };
  vi.stubGlobal("navigator", { gpu, userAgent: "a test" });
}

afterEach(() => vi.unstubAllGlobals());

describe("what a device says of its subgroup matrices", () => {
  it("is each configuration by the browser's own names", async () => {
    offer({ subgroupMatrixConfigs: [new MatrixConfig("f16", "f32", 16), new MatrixConfig("i8", "i32", 8)] });
    expect((await openDevice()).info.subgroup_matrix_configs).toEqual([
      { componentType: "f16", resultComponentType: "f32", M: 16, N: 16, K: 16 },
      { componentType: "i8", resultComponentType: "i32", M: 8, N: 8, K: 8 },
    ]);
  });

  it("is nothing where there are none", async () => {
    offer({});
    expect((await openDevice()).info.subgroup_matrix_configs).toEqual([]);
    offer({ subgroupMatrixConfigs: [] });
    expect((await openDevice()).info.subgroup_matrix_configs).toEqual([]);
  });
});
