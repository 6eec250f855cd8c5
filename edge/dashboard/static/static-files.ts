import { Hono } from "hono/tiny";
import type { Env } from "../../request-env.ts";
import { contentHash } from "./content-hash.ts";
import { MODULES } from "./script-modules.ts";
import { STYLE_SHEET } from "./style-sheet.ts";

/** The product's logo: a zero crossed by a pulse. */
const LOGO_SVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="#3449b8"/><ellipse cx="16" cy="16" rx="7.5" ry="10" fill="none" stroke="#fff" stroke-width="2.6"/><path d="M5 16h7l2-4.5 4 9 2-4.5h7" fill="none" stroke="#fff" stroke-width="2" stroke-linejoin="round" stroke-linecap="round"/></svg>`;

type StaticFile = { url: string; type: string; text: string };

export const STYLE: StaticFile = {
  url: `/static/style.${contentHash(STYLE_SHEET)}.css`,
  type: "text/css; charset=utf-8",
  text: STYLE_SHEET,
};
export const LOGO: StaticFile = {
  url: `/static/logo.${contentHash(LOGO_SVG)}.svg`,
  type: "image/svg+xml",
  text: LOGO_SVG,
};

/**
 * All modules share one folder, because they import each other by relative path. The folder's name is a hash
 * of their content.
 */
const SCRIPT_FOLDER = `/static/${contentHash(MODULES.map(({ text }) => text).join("\n"))}`;

export const SCRIPTS: readonly StaticFile[] = MODULES.map(({ name, text }) => ({
  url: `${SCRIPT_FOLDER}/${name}`,
  type: "text/javascript; charset=utf-8",
  text,
}));

/** URL of the entry module, which imports all other modules. */
export const SCRIPT_URL = `${SCRIPT_FOLDER}/live.client.js`;

const HEADERS = {
  "cache-control": "public, max-age=31536000, immutable",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff",
};

/**
 * Serves the style sheet, script modules and logo. Each URL contains a hash of the content, so browsers can
 * cache the files without expiry.
 */
export function staticRoutes(): Hono<Env> {
  const app = new Hono<Env>();
  for (const { url, type, text } of [STYLE, LOGO, ...SCRIPTS]) {
    app.get(url, (c) => c.body(text, 200, { ...HEADERS, "content-type": type }));
  }
  return app;
}
