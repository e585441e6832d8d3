/** The shader view's module: anywidget's default export. */
import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";
import { Player, type Traits } from "./player.js";

/** By the view's id: anywidget wraps the model anew for each call. */
const players = new Map<string, Player>();

function playerOf(model: AnyModel<Traits>): Player {
  const id = model.get("view_id");
  const player = players.get(id) ?? new Player(model);
  players.set(id, player);
  return player;
}

function initialize({ model, signal }: InitializeProps<Traits>): () => void {
  const id = model.get("view_id");
  const end = (): void => {
    players.get(id)?.destroy();
    players.delete(id);
  };
  signal?.addEventListener("abort", end);
  return end;
}

function render({ model, el }: RenderProps<Traits>): () => void {
  return playerOf(model as AnyModel<Traits>).attach(el);
}

export default { initialize, render };
