import { Hono } from "hono/tiny";
import type { Env } from "../../request-env.ts";
import liveScript from "./live.client.js" with { type: "text" };
import styleSheet from "./style.css" with { type: "text" };

/** The mark of the product: a zero around a pulse. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#3449b8"/><ellipse cx="16" cy="16" rx="7.5" ry="10" fill="none" stroke="#fff" stroke-width="2.6"/><path d="M5 16h7l2-4.5 4 9 2-4.5h7" fill="none" stroke="#fff" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"/></svg>`;

type StaticFile = { url: string; type: string; text: string };

/** The content is in the name, so a browser may keep the file for good and a deploy is seen at once. */
function staticFile(name: string, extension: string, type: string, text: string): StaticFile {
  return { url: `/static/${name}.${contentHash(text)}.${extension}`, type, text };
}

export const STYLE = staticFile("style", "css", "text/css; charset=utf-8", styleSheet);
export const SCRIPT = staticFile("live", "js", "text/javascript; charset=utf-8", liveScript);
export const MARK = staticFile("mark", "svg", "image/svg+xml", ICON);

const HEADERS = {
  "cache-control": "public, max-age=31536000, immutable",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
};

/** Style, script and mark of the dashboard, under names that change with their content. */
export function staticRoutes(): Hono<Env> {
  const app = new Hono<Env>();
  for (const { url, type, text } of [STYLE, SCRIPT, MARK]) {
    app.get(url, (c) => c.body(text, 200, { ...HEADERS, "content-type": type }));
  }
  return app;
}

/** Two rounds of FNV-1a: names a version, protects nothing, and needs no promise at start. */
function contentHash(text: string): string {
  const round = (seed: number) => {
    let hash = seed;
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    return (hash >>> 0).toString(16).padStart(8, "0");
  };
  return round(0x811c9dc5) + round(0x9747b28c);
}
