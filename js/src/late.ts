/**
 * Messages to a model whose module came late.
 *
 * anywidget 0.11 holds back what Python says to a model until the model's module has begun. Where that takes more than two seconds, as on a machine that is
 * busy, it drops that and all that follows (packages/anywidget/src/runtime.ts: `AbortSignal.timeout`), though the module begins all the same. A module that
 * runs needs nobody to hold anything back, so one that has heard nothing takes its messages from the comm itself.
 */
import type { AnyModel } from "@anywidget/types";

/** Later than anywidget's two seconds, which begin before the module does. */
const SILENT_MS = 2500;

type Hear = (this: unknown, message: unknown) => unknown;

/** Have a model take its comm's messages as ipywidgets does, past anywidget's waiting; says whether this host has such a model. */
export function takeMessages(whole: unknown): boolean {
  if (typeof whole !== "object" || whole === null) return false;
  const { comm } = whole as { comm?: { on_msg?: (act: (message: unknown) => unknown) => void } };
  const ipywidgets = Object.getPrototypeOf(Object.getPrototypeOf(whole)) as { _handle_comm_msg?: Hear } | null;
  const hear = ipywidgets?._handle_comm_msg;
  if (typeof comm?.on_msg !== "function" || typeof hear !== "function") return false;
  comm.on_msg((message) => hear.call(whole, message));
  return true;
}

/**
 * Watch for the first word from Python, and take the messages when none has come; returns what ends that.
 *
 * @param model Has the trait `_page`, by whose change Backbone hands over the whole model.
 * @param again Called when the messages are taken: what was said before was lost.
 */
export function hearLate<T extends { _page: string }>(model: AnyModel<T>, again: () => void): () => void {
  let whole: unknown;
  const know = (it: unknown): void => {
    whole = it;
  };
  const timer = setTimeout(() => {
    if (whole === undefined) {
      const page = model.get("_page");
      model.set("_page", `${page} ` as T["_page"]);
      model.set("_page", page);
    }
    end();
    if (takeMessages(whole)) again();
  }, SILENT_MS);
  const end = (): void => {
    clearTimeout(timer);
    model.off("change:_page", know);
    model.off("msg:custom", end);
    model.off("change:_heard", end);
  };
  model.on("change:_page", know);
  model.on("msg:custom", end);
  model.on("change:_heard", end);
  return end;
}
