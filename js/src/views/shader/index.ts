/** The shader view's module: anywidget's default export. */
import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";
import { openPlaces, renderPlace } from "../places.js";
import { Player, type Traits } from "./player.js";

/** By the view's id: anywidget wraps the model anew for each call. */
const players = new Map<string, Player>();

function playerOf(model: AnyModel<Traits>): Player {
  const id = model.get("view_id");
  const player = players.get(id) ?? new Player(model);
  players.set(id, player);
  return player;
}

const show = (model: AnyModel<Traits>, el: HTMLElement): (() => void) => playerOf(model).attach(el);

function initialize({ model, signal }: InitializeProps<Traits>): () => void {
  const id = model.get("view_id");
  const leave = openPlaces(model as AnyModel<Traits>, (el) => show(model as AnyModel<Traits>, el));
  const end = (): void => {
    leave();
    players.get(id)?.destroy();
    players.delete(id);
  };
  signal?.addEventListener("abort", end);
  model.on("destroy", end);
  return end;
}

function render({ model, el }: RenderProps<Traits>): () => void {
  return renderPlace(model.get("_picture_id"), el, (place) => show(model as AnyModel<Traits>, place));
}

export default { initialize, render };
