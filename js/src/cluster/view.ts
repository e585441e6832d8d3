/** What a browser of a cluster shows: whose it is, what it does, and a button that stops it. */
import { registry } from "../runtime.js";
import { registerMessage } from "../services.js";

const STYLE =
  "max-width:44rem;margin:12px 0;padding:10px 14px;border:1px solid #8884;border-radius:6px;font:13px/1.5 system-ui,sans-serif;box-sizing:border-box;font-variant-numeric:tabular-nums";

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

let card: HTMLElement | undefined;

function make(): HTMLElement {
  const made = document.createElement("section");
  made.style.cssText = STYLE;
  made.setAttribute("aria-label", "Cluster worker");
  const text = document.createElement("div");
  const stop = document.createElement("button");
  stop.type = "button";
  stop.textContent = "Stop computing for this cluster";
  stop.style.cssText = "margin-top:8px;padding:4px 12px;font:inherit";
  stop.onclick = () => {
    stop.disabled = true;
    text.textContent = "Stopped: this browser has left the cluster. Reload the page to join again.";
    registry().get("page")?.destroy();
  };
  made.append(text, stop);
  (document.getElementById("app") ?? document.body).append(made);
  return made;
}

registerMessage("worker-view", async (_engine, shown) => {
  if (typeof document === "undefined") return {};
  card ??= make();
  const rows = [
    `${shown.name} of a cluster: ${shown.doing ? `computing ${shown.doing}` : "waiting for work"}`,
    `${shown.tasks_done} tasks done${shown.tasks_failed ? `, ${shown.tasks_failed} failed` : ""}, ${shown.busy_s.toFixed(1)} s of work`,
    `by the hub ${megabytes(shown.bytes_in)} in, ${megabytes(shown.bytes_out)} out; from other browsers ${megabytes(shown.peer_bytes_in)}, to them ${megabytes(shown.peer_bytes_out)}`,
  ];
  card.firstElementChild?.replaceChildren(
    ...rows.map((row) => {
      const line = document.createElement("div");
      line.textContent = row;
      return line;
    }),
  );
  return {};
});
