import type { Trait } from "./entry.ts";
import { type Examined, matchesTrait } from "./match.ts";

/** A response that a product returns only if it requires no credential. */
export type OpenAnswer = Omit<Trait, "weight" | "says" | "unless">;

/**
 * Responses that prove open access, by product. For products whose model list is always open or does not exist. Each path is
 * behind the product's own authentication. The table is not part of the catalogue entries, because older agents reject a
 * catalogue with unknown fields.
 */
export const OPEN_ANSWERS: Readonly<Record<string, readonly OpenAnswer[]>> = {
  // Recorded from OpenCode 1.18.33: with OPENCODE_SERVER_PASSWORD both return 401. The web manifest stays open.
  opencode: [
    { path: "/global/health", json: { healthy: { is: "boolean" } } },
    { path: "/doc", json: { "info.title": { matches: "^opencode" } } },
  ],
  // Recorded from 2.0.0: without APIKEY an unknown path returns 404 with this header; with APIKEY every path returns 401.
  "claude-code-router": [
    {
      path: "/v1/models",
      statuses: [404],
      headers: { "access-control-allow-origin": "^http://(?:localhost|127\\.0\\.0\\.1):\\d+$" },
    },
  ],
  // Recorded from chromadb 1.5.9. Its heartbeat and version are open even with authentication.
  chroma: [{ path: "/api/v2/auth/identity", json: { tenant: { is: "string" }, databases: { is: "array" } } }],
  // A server checks the token before the session (MCP specification 2025-06-18, authorization).
  "mcp-http": [
    { path: "/mcp", statuses: [400, 405, 406], json: { jsonrpc: { matches: "^2\\.0$" } } },
    { path: "/mcp", headers: { "content-type": "^text/event-stream" } },
    { path: "/sse", headers: { "content-type": "^text/event-stream" } },
  ],
  // Recorded from gradio 6.31.0. With `auth` the path returns 401 (routes.py, login_check).
  gradio: [{ path: "/config", json: { "components[].type": { is: "string" } } }],
  // Recorded from chainlit 2.12.0. With authentication the path returns 401 (server.py, UserParam).
  chainlit: [{ path: "/project/settings", json: { features: { is: "object" }, userEnv: { is: "array" } } }],
  // Recorded from MLflow 3.17.2. With basic-auth the page returns 401. The gateway has no access control.
  mlflow: [
    { path: "/", body: 'class="mlflow-ui-container"' },
    { path: "/openapi.json", json: { "info.title": { matches: "^MLflow AI Gateway$" } } },
  ],
  // Recorded from jupyter-ai 2.31.7. With a token the path returns 403.
  "jupyter-ai": [{ path: "/api/ai/providers", json: { "providers[].id": { is: "string" } } }],
  // The version of Ray is open even with RAY_AUTH_MODE=token.
  "ray-serve": [{ path: "/api/serve/applications/", json: { applications: { is: "object" } } }],
};

const noted = new WeakMap<Examined, ReadonlySet<string>>();

/** Products for which this response proves open access. Computed when the response arrives, because its JSON is not kept. */
export function openedBy(path: string, answer: Examined): ReadonlySet<string> {
  let products = noted.get(answer);
  if (!products) {
    const isFound = (one: OpenAnswer): boolean => one.path === path && matchesTrait(one, answer);
    const found = Object.entries(OPEN_ANSWERS).filter(([, answers]) => answers.some(isFound));
    products = new Set(found.map(([id]) => id));
    noted.set(answer, products);
  }
  return products;
}
