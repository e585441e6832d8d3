/** Which front end this page is. */

/** Random, also where the page is no secure context (crypto.randomUUID is not there then). */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What a Jupyter application calls itself in its page; empty elsewhere. */
export function jupyterApp(): string {
  const config = document.getElementById("jupyter-config-data")?.textContent ?? "";
  return /"appName":\s*"([^"]*)"/.exec(config)?.[1] ?? "";
}

/** Which notebook front end, or page, this is. */
export function hostName(): string {
  const { location, document } = globalThis;
  if (location.protocol === "vscode-webview:") return "vscode";
  if (/(^|\.)(colab\.research\.google\.com|colab\.googleusercontent\.com)$/.test(location.hostname)) return "colab";
  if (document.querySelector("marimo-filename, marimo-mode")) return "marimo";
  const config = document.getElementById("jupyter-config-data")?.textContent;
  if (config) return /"appName":\s*"Jupyter ?Lite/i.test(config) ? "jupyterlite" : /"appName":\s*"Jupyter Notebook"/i.test(config) ? "notebook" : "jupyterlab";
  return "unknown";
}

const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/Edg\/(\d+)/, "Edge"],
  [/OPR\/(\d+)/, "Opera"],
  [/HeadlessChrome\/(\d+)/, "Chromium"],
  [/Chrome\/(\d+)/, "Chrome"],
  [/Firefox\/(\d+)/, "Firefox"],
  [/Version\/(\d+).*Safari/, "Safari"],
];

/** The browser's name and version, as its user agent tells them. */
export function browserName(userAgent: string): string {
  for (const [mark, name] of BROWSERS) {
    const found = mark.exec(userAgent);
    if (found) return `${name} ${found[1]}`;
  }
  return userAgent;
}
