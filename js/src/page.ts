/** The hub's own page: a WebSocket to Python, opened again whenever it breaks. */
import { randomId } from "./host.js";
import { Runtime, registry } from "./runtime.js";
import type { Link } from "./transports/link.js";
import { WebSocketLink } from "./transports/websocket.js";
import { liveStatus } from "./views/state.js";
import { showStatus } from "./views/status.js";

const TOKEN_KEY = "webgpu_widget.token";
const PAGE_KEY = "webgpu_widget.page";
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5000;

/** The token of the address, kept for reloads of this tab and taken out of the address bar. */
function takeToken(): string {
  const address = new URL(location.href);
  const token = address.searchParams.get("token");
  if (token === null) return sessionStorage.getItem(TOKEN_KEY) ?? "";
  sessionStorage.setItem(TOKEN_KEY, token);
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
  return token;
}

/** This tab's own secret, drawn once and kept for its reloads: by it the hub knows the page again that it let in first. */
function pageSecret(): string {
  const kept = sessionStorage.getItem(PAGE_KEY);
  if (kept !== null) return kept;
  const drawn = randomId();
  sessionStorage.setItem(PAGE_KEY, drawn);
  return drawn;
}

/** Connect the page to the hub that served it, and show how it goes. */
export function connectPage(): Runtime {
  const token = takeToken();
  const address = new URL("/ws", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.searchParams.set("token", token);
  address.searchParams.set("page", pageSecret());
  const runtime = new Runtime("page", () => {
    // No adapter after a loss: this page's connection to the GPU process is gone, a new page gets another one.
    location.reload();
  });
  registry().set("page", runtime);
  let delayMs = FIRST_DELAY_MS;
  const connect = (): void => {
    address.searchParams.set("instance", runtime.session.instance);
    new WebSocketLink(address.href, {
      opened: (link: Link) => {
        delayMs = FIRST_DELAY_MS;
        runtime.opened(link);
      },
      message: (link, message, buffers) => runtime.message(link, message, buffers),
      closed: (link: Link) => {
        runtime.closed(link);
        if (runtime.session.role === "closed" || runtime.session.role === "refused") return;
        setTimeout(connect, delayMs);
        delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS);
      },
    });
  };
  connect();
  addEventListener("pagehide", () => runtime.session.bye());
  // Back from the back-forward cache: it has said goodbye.
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
  document.documentElement.style.colorScheme = "light dark";
  const place = document.getElementById("app") ?? document.body;
  runtime.look();
  showStatus(place, () => liveStatus(runtime), runtime.onChange.bind(runtime));
  return runtime;
}
