import { expect, test } from "vitest";
import { viewOfPicture } from "../src/views/places.js";

const ID = "0123456789abcdef0123456789abcdef";
const text = (body: string): string => `\0\0\0\x35tEXt${body}`;
const picture = (chunk: string): string => `data:image/png;base64,${btoa(`\x89PNG\r\n\x1a\n\0\0\0\rIHDR${"\0".repeat(17)}${chunk}${"x".repeat(400)}`)}`;

test("a picture names its view", () => {
  expect(viewOfPicture(picture(text(`webgpu_widget.view\0${ID}`)))).toBe(ID);
});

test.each([
  ["another text", picture(text("Comment\0hello"))],
  ["no text", picture("")],
  ["half a name", picture(text(`webgpu_widget.view\0${ID.slice(0, 9)} `))],
  ["no base64", "data:image/png;base64,***"],
  ["an address", "https://example.org/picture.png"],
  ["nothing", "data:image/png;base64,"],
])("%s names none", (_what, source) => {
  expect(viewOfPicture(source)).toBe("");
});
