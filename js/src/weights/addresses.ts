/** What the page knows of an address that it fetches from. */

/** Whether it is this machine's. */
export function isLocal(url: string): boolean {
  const { hostname } = new URL(url, document.baseURI);
  return hostname === location.hostname || hostname === "localhost" || hostname === "127.0.0.1" || hostname === "[::1]";
}

/** Jupyter's server asks a script that says where it comes from neither by Referer nor otherwise for its cross-site token. */
export function headersFor(url: string): Record<string, string> {
  if (new URL(url, document.baseURI).origin !== location.origin) return {};
  const token = /(?:^|;\s*)_xsrf=([^;]+)/.exec(document.cookie)?.[1];
  return token ? { "X-XSRFToken": decodeURIComponent(token) } : {};
}
