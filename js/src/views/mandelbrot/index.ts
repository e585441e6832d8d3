/** The explorer's module: anywidget's default export. */
import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";
import { openPlaces, renderPlace } from "../places.js";
import { Explorer, type Traits } from "./explorer.js";

function show(model: AnyModel<Traits>, el: HTMLElement): () => void {
  const explorer = new Explorer(model, el);
  return () => explorer.destroy();
}

function initialize({ model, signal }: InitializeProps<Traits>): () => void {
  const leave = openPlaces(model as AnyModel<Traits>, (el) => show(model as AnyModel<Traits>, el));
  signal?.addEventListener("abort", leave);
  model.on("destroy", leave);
  return leave;
}

function render({ model, el }: RenderProps<Traits>): () => void {
  return renderPlace(model.get("_picture_id"), el, (place) => show(model as AnyModel<Traits>, place));
}

export default { initialize, render };
