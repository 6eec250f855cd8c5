import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** Path of Chromium, from `LZ_CHROMIUM`, /usr/bin or the PATH. Undefined if Chromium is not installed. */
export function chromiumPath(): string | undefined {
  const wanted = process.env.LZ_CHROMIUM;
  if (wanted) return existsSync(wanted) ? wanted : undefined;
  if (existsSync("/usr/bin/chromium")) return "/usr/bin/chromium";
  return NAMES.map((name) => Bun.which(name)).find((path) => path !== null) ?? undefined;
}

/** Missing requirements for the browser suite. Empty if Chromium is installed. */
export const lacking = chromiumPath() ? [] : ["Chromium on the PATH or its path in LZ_CHROMIUM"];

export const launch = (executablePath: string): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
