/** Which address of a file the page can fetch: tried one by one, and compared with what Python read. */
import type { Probe, ProbeAnswer } from "../protocol.gen.js";
import { headersFor } from "./addresses.js";
import { patient } from "./patience.js";

const PROBE_MS = 4000;

type Found = Pick<ProbeAnswer, "ranges" | "validator">;

/** Answers with the first address that gives the file's bytes. */
export async function probe(_engine: unknown, known: Probe): Promise<ProbeAnswer> {
  const tried: string[] = [];
  for (const url of candidates(known)) {
    try {
      const found = await patient(compare(url, known), "the address", 2 * PROBE_MS * known.samples.length);
      if (typeof found !== "string") return { url, ...found, tried };
      tried.push(`${short(url)}: ${found}`);
    } catch (error) {
      tried.push(`${short(url)}: ${String(error)}`);
    }
  }
  return { url: null, ranges: false, validator: "", tried };
}

function* candidates({ urls, path, resolved, home }: Probe): Generator<string> {
  const { baseUrl, serverRoot = "" } = jupyterConfig();
  if (baseUrl !== undefined) {
    const paths = [path, resolved].filter((parts) => parts.length > 0);
    for (const inside of new Set(paths.flatMap((parts) => served(parts, serverRoot, home)))) {
      yield new URL(`${baseUrl}files/${inside}`, location.href).href;
    }
  }
  for (const url of urls) yield new URL(url, location.href).href;
}

/**
 * Where a Jupyter server has a file below its root, for its address: each try in vain is an error in the browser's console.
 * Servers serve nothing whose name begins with a dot.
 */
export function served(path: readonly string[], serverRoot: string, home: readonly string[]): string[] {
  const parts = serverRoot
    .replace(/^[A-Za-z]:/, "")
    .split("/")
    .filter(Boolean);
  const root = parts[0] === "~" ? [...home, ...parts.slice(1)] : parts;
  const below = serverRoot !== "" && root.length < path.length && root.every((part, i) => part === path[i]);
  const inside = path.slice(root.length);
  return below && !inside.some((part) => part.startsWith(".")) ? [inside.map(encodeURIComponent).join("/")] : [];
}

/** What the Jupyter server that serves this page says of itself. */
function jupyterConfig(): { readonly baseUrl?: string; readonly serverRoot?: string } {
  try {
    const text = document.getElementById("jupyter-config-data")?.textContent;
    const { baseUrl, serverRoot } = JSON.parse(text || "{}") as Record<string, unknown>;
    return { ...(typeof baseUrl === "string" && { baseUrl }), ...(typeof serverRoot === "string" && { serverRoot }) };
  } catch {
    return {};
  }
}

async function compare(url: string, known: Probe): Promise<Found | string> {
  let found: Found | string = "nothing to compare with";
  for (const [offset, expected] of known.samples) {
    found = await look(url, offset, expected, known);
    // A server that ignores Range has sent the file's beginning; the rest would cost the whole file each time.
    if (typeof found === "string" || !found.ranges) return found;
  }
  return found;
}

async function look(url: string, offset: number, expected: string, known: Probe): Promise<Found | string> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PROBE_MS);
  try {
    const range = `bytes=${offset}-${offset + expected.length / 2 - 1}`;
    const response = await fetch(url, { headers: { ...headersFor(url), Range: range }, cache: "no-store", signal: abort.signal });
    const { status, headers } = response;
    if (status !== 206 && status !== 200) return `HTTP ${status}`;
    const ranges = status === 206;
    const total = ranges ? /\/(\d+)$/.exec(headers.get("Content-Range") ?? "")?.[1] : headers.get("Content-Length");
    if (total && Number(total) !== known.size && !headers.get("Content-Encoding")) return `${total} bytes instead of ${known.size}`;
    const written = Date.parse(headers.get("Last-Modified") ?? "") / 1000;
    if (known.modified && written && Math.abs(written - known.modified) > 2) return "another file, written at another time";
    if ((await firstBytes(response, expected.length / 2)) !== expected) return "another file";
    return { ranges, validator: headers.get("ETag") ?? headers.get("Last-Modified") ?? "" };
  } finally {
    clearTimeout(timer);
    abort.abort();
  }
}

async function firstBytes(response: Response, count: number): Promise<string> {
  const reader = response.body?.getReader();
  let text = "";
  while (reader && text.length < 2 * count) {
    const { done, value } = await reader.read();
    if (done) break;
    for (const byte of value.subarray(0, count - text.length / 2)) text += byte.toString(16).padStart(2, "0");
  }
  return text;
}

function short(url: string): string {
  const { origin, pathname } = new URL(url, location.href);
  return `${origin}${pathname}`.slice(0, 160);
}
