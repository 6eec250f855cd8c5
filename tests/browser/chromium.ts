import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/** Path of a Chromium: `LZ_CHROMIUM`, then the usual place, then the PATH; undefined when there is none. */
export function chromiumPath(): string | undefined {
  const wanted = process.env.LZ_CHROMIUM;
  if (wanted) return existsSync(wanted) ? wanted : undefined;
  if (existsSync("/usr/bin/chromium")) return "/usr/bin/chromium";
  return NAMES.map((name) => Bun.which(name)).find((path) => path !== null) ?? undefined;
}

export const HOW_TO_ENABLE =
  "the browser suite did not run: no Chromium found. Install one (apt-get install chromium) or set LZ_CHROMIUM to its path";

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
