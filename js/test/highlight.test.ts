import { expect, test } from "vitest";
import { tokens } from "../src/views/highlight.js";

const kinds = (text: string): string[] => tokens(text).map(({ kind, from, to }) => `${kind} ${text.slice(from, to)}`);

test("the words of WGSL are told apart", () => {
  expect(kinds("@compute fn main(@builtin(global_invocation_id) id: vec3u) { let x2 = 0x1Fu + .5e-3f; } // it's done")).toEqual([
    "attribute @compute",
    "keyword fn",
    "function main",
    "attribute @builtin",
    "type vec3u",
    "keyword let",
    "number 0x1Fu",
    "number .5e-3f",
    "comment // it's done",
  ]);
});

test("names that hold a keyword are names", () => {
  expect(kinds("iffy = formal.x2 + let_it_be;")).toEqual([]);
});

test("a comment may go over lines, and may not have ended", () => {
  expect(kinds("/* fn\n let */ var<storage> /* open\n fn")).toEqual(["comment /* fn\n let */", "keyword var", "type storage", "comment /* open\n fn"]);
});
