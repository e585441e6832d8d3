/** The explorer's module: anywidget's default export. */
import type { AnyModel, RenderProps } from "@anywidget/types";
import { Explorer, type Traits } from "./explorer.js";

function render({ model, el }: RenderProps<Traits>): () => void {
  const explorer = new Explorer(model as AnyModel<Traits>, el);
  return () => explorer.destroy();
}

export default { render };
