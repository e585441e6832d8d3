/** What one takes along: a link to the view, and a PNG that keeps its parameters. */
import type { AnyModel } from "@anywidget/types";
import type { ExplorerState } from "../../protocol.gen.js";
import { formatWide } from "./decimal.js";
import type { Parts } from "./dom.js";
import { download } from "./png.js";
import type { ProgressivePicture } from "./progressive.js";
import { linkOf } from "./state.js";
import type { StatusLine } from "./status.js";

const KEYWORD = "webgpu_widget.mandelbrot";

/** Copy a link, or, where the browser forbids it, select it below the picture. */
export async function copyLink(model: AnyModel<ExplorerState>, parts: Parts, picture: ProgressivePicture, status: StatusLine): Promise<void> {
  const link = linkOf(picture.view, picture.maxIter, model.get("power"), model.get("julia"));
  try {
    await navigator.clipboard.writeText(link);
    status.note("Copied the link.");
  } catch {
    parts.re.value = link;
    if (parts.panel.classList.contains("wgmb-hidden")) parts.buttons.place.click();
    parts.re.select();
    status.note("The browser does not let the page copy; the link is selected below.");
  }
  setTimeout(() => status.note(""), 2500);
}

/** Save what is shown; `mandelbrot.load` in Python reads the parameters. */
export function save(model: AnyModel<ExplorerState>, parts: Parts, picture: ProgressivePicture): Promise<void> {
  const [histogram, scale] = [model.get("histogram"), model.get("scale")];
  const usual = histogram ? 1 : { log: 2, sqrt: 8, linear: 64 }[scale];
  const parameters = {
    format: 1,
    view: { ...picture.request(picture.view, [picture.columns, picture.rows], picture.maxIter), formula: "mandelbrot" },
    method: parts.root.dataset["method"] ?? "",
    colors: { palette: model.get("palette"), scale, cycle: usual * model.get("cycle"), offset: model.get("offset"), histogram },
    stats: {},
  };
  return download(parts.main, `mandelbrot-${formatWide(picture.view.width)}.png`, KEYWORD, parameters);
}
