/** The widget's module: anywidget's default export, and `connectPage` for the hub's own page. */
import type { AnyModel, InitializeProps, RenderProps } from "@anywidget/types";
import "./cluster/index.js";
import type { CardState } from "./protocol.gen.js";
import { Runtime, registry } from "./runtime.js";
import { CommLink } from "./transports/comm.js";
import { colourWgsl } from "./views/highlight.js";
import { openPlaces, renderPlace } from "./views/places.js";
import { registerDrawing } from "./views/shader/service.js";
import { liveStatus, type Status } from "./views/state.js";
import { showStatus } from "./views/status.js";
import { registerWeights } from "./weights/index.js";

export { connectPage } from "./page.js";
export { registerService } from "./services.js";

registerWeights();
registerDrawing();

/** Synchronous: anywidget gives up a model whose `initialize` takes longer than two seconds, so the GPU is asked for later. */
function initialize({ model, signal }: InitializeProps<CardState>): () => void {
  colourWgsl();
  let greet = (): void => {};
  const leavePlaces = openPlaces(
    model,
    (el) => showCard(model, el),
    true,
    () => greet(),
  );
  if (model.get("transport") !== "comm") {
    signal?.addEventListener("abort", leavePlaces);
    model.on("destroy", leavePlaces);
    return leavePlaces;
  }
  const runtime = new Runtime();
  const link = new CommLink(model, runtime);
  registry().set(model.get("gpu_id"), runtime);
  const leave = (): void => runtime.session.bye();
  addEventListener("pagehide", leave);
  greet = () => runtime.opened(link);
  greet();
  let over = false;
  const destroy = (): void => {
    if (over) return;
    over = true;
    removeEventListener("pagehide", leave);
    if (registry().get(model.get("gpu_id")) === runtime) registry().delete(model.get("gpu_id"));
    runtime.destroy();
    link.close();
  };
  signal?.addEventListener("abort", leavePlaces);
  model.on("destroy", leavePlaces);
  signal?.addEventListener("abort", destroy);
  model.on("destroy", destroy);
  // JupyterLab keeps the models of a kernel that is restarted, and only says that their comms are dead.
  model.on("comm_live_update", destroy);
  return () => {
    leavePlaces();
    destroy();
  };
}

function showCard(model: AnyModel<CardState>, el: HTMLElement): () => void {
  // anywidget wraps the model anew for each call, so the GPU's id is what initialize and render share.
  const runtime = registry().get(model.get("gpu_id"));
  runtime?.look();
  if (runtime) return showStatus(el, () => liveStatus(runtime), runtime.onChange.bind(runtime));
  const status = (): Status => {
    const { state = "not started", ...more } = model.get("status") ?? {};
    return { transport: model.get("transport"), ...more, state };
  };
  return showStatus(el, status, (listener) => {
    model.on("change:status", listener);
    return () => model.off("change:status", listener);
  });
}

function render({ model, el }: RenderProps<CardState>): () => void {
  return renderPlace(model.get("_picture_id"), el, (place) => showCard(model as AnyModel<CardState>, place));
}

export default { initialize, render };
