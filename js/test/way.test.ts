import { expect, test } from "vitest";
import { wayToWebGpu } from "../src/device.js";
import { browserName } from "../src/host.js";

const LINUX = "Mozilla/5.0 (X11; Linux x86_64";
const MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7";

test.each([
  [`${LINUX}; rv:153.0) Gecko/20100101 Firefox/153.0`, "Firefox 153", /dom\.webgpu\.enabled/],
  [`${MAC}; rv:140.0) Gecko/20100101 Firefox/140.0`, "Firefox 140", /145 on macOS/],
  [`${LINUX}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36`, "Chrome 156", /--enable-unsafe-webgpu/],
  [`${LINUX}) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36`, "Chromium 156", /--enable-unsafe-webgpu/],
  [`${MAC}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 Safari/537.36 Edg/112.0.1`, "Edge 112", /from 113 on/],
  [`${MAC}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15`, "Safari 18", /from 26 on/],
  ["lynx", "lynx", /Chrome or Edge 113/],
])("%s", (userAgent, name, advice) => {
  expect(browserName(userAgent)).toBe(name);
  expect(wayToWebGpu(userAgent)).toMatch(advice);
});
