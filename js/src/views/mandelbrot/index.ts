/** The explorer's module: anywidget's default export. */
import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";
import type { ExplorerState } from "../../protocol.gen.js";
import { openPlaces, renderPlace } from "../places.js";
import { Explorer } from "./explorer.js";

function show(model: AnyModel<ExplorerState>, el: HTMLElement): () => void {
  const explorer = new Explorer(model, el);
  return () => explorer.destroy();
}

function initialize({ model, signal }: InitializeProps<ExplorerState>): () => void {
  const leave = openPlaces(model as AnyModel<ExplorerState>, (el) => show(model as AnyModel<ExplorerState>, el));
  signal?.addEventListener("abort", leave);
  model.on("destroy", leave);
  return leave;
}

function render({ model, el }: RenderProps<ExplorerState>): () => void {
  return renderPlace(model.get("_picture_id"), el, (place) => show(model as AnyModel<ExplorerState>, place));
}

export default { initialize, render };
