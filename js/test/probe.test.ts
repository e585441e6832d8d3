import { expect, test } from "vitest";
import { served } from "../src/weights/probe.js";

const home = ["home", "ada"];

test.each([
  [["srv", "lab", "data", "a b.gguf"], "/srv/lab", ["data/a%20b.gguf"]],
  [["home", "ada", "work", "x.safetensors"], "~", ["work/x.safetensors"]],
  [["home", "ada", "work", "x.safetensors"], "~/work", ["x.safetensors"]],
  [["home", "bob", "work", "x.safetensors"], "~/work", []],
  [["srv", "laboratory", "x.npz"], "/srv/lab", []],
  [["srv", "lab"], "/srv/lab", []],
  [["home", "ada", ".cache", "hub", "x.safetensors"], "~", []],
  [["Users", "ada", "x.npz"], "C:/Users/ada", ["x.npz"]],
  [["srv", "x.npz"], "/", ["srv/x.npz"]],
  [["srv", "x.npz"], "", []],
])("the file %j below the root %j is at %j", (path, root, wanted) => {
  expect(served(path, root, home)).toEqual(wanted);
});
