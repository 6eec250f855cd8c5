import type { Trait } from "./entry.ts";
import { type Examined, matchesTrait } from "./match.ts";

/** A response that shows whether a product requires a credential. */
export type AuthAnswer = Omit<Trait, "weight" | "says" | "unless">;

/**
 * Responses that prove open access, by product. The table lists products whose model list is always open or
 * does not exist. If the product's own authentication is enabled, it protects each of these paths. The table
 * is not part of the catalogue entries, because older agents reject a catalogue with unknown fields.
 */
export const OPEN_ANSWERS: Readonly<Record<string, readonly AuthAnswer[]>> = {
  // Recorded from OpenCode 1.18.33. With OPENCODE_SERVER_PASSWORD both paths return 401. The web manifest
  // stays open.
  opencode: [
    { path: "/global/health", json: { healthy: { is: "boolean" } } },
    { path: "/doc", json: { "info.title": { matches: "^opencode" } } },
  ],
  // Recorded from 2.0.0. Without APIKEY, an unknown path returns 404 with this header. With APIKEY, every
  // path returns 401.
  "claude-code-router": [
    {
      path: "/v1/models",
      statuses: [404],
      headers: { "access-control-allow-origin": "^http://(?:localhost|127\\.0\\.0\\.1):\\d+$" },
    },
  ],
  // Recorded from chromadb 1.5.9. The paths for heartbeat and version stay open even if authentication is
  // enabled.
  chroma: [{ path: "/api/v2/auth/identity", json: { tenant: { is: "string" }, databases: { is: "array" } } }],
  // An MCP server checks the token before the session (MCP specification 2025-06-18, authorization).
  "mcp-http": [
    { path: "/mcp", statuses: [400, 405, 406], json: { jsonrpc: { matches: "^2\\.0$" } } },
    { path: "/mcp", headers: { "content-type": "^text/event-stream" } },
    { path: "/sse", headers: { "content-type": "^text/event-stream" } },
  ],
  // Recorded from gradio 6.31.0. With `auth` the path returns 401 (routes.py, login_check).
  gradio: [{ path: "/config", json: { "components[].type": { is: "string" } } }],
  // Recorded from chainlit 2.12.0. With authentication the path returns 401 (server.py, UserParam).
  chainlit: [{ path: "/project/settings", json: { features: { is: "object" }, userEnv: { is: "array" } } }],
  // Recorded from MLflow 3.17.2. With basic-auth the page returns 401. The MLflow gateway has no access
  // control of its own.
  mlflow: [
    { path: "/", body: 'class="mlflow-ui-container"' },
    { path: "/openapi.json", json: { "info.title": { matches: "^MLflow AI Gateway$" } } },
  ],
  // Recorded from jupyter-ai 2.31.7. With a token the path returns 403.
  "jupyter-ai": [{ path: "/api/ai/providers", json: { "providers[].id": { is: "string" } } }],
  // Recorded from lightrag-hku 1.5.7 with --key. The path returns 403 "API Key required". /auth-status does
  // not show that a key is set.
  lightrag: [{ path: "/documents/pipeline_status", json: { busy: { is: "boolean" } } }],
  // Recorded from openclaw 2026.9.6. With a token the path returns 401, while the page and /health stay open.
  openclaw: [{ path: "/control-ui-config.json", json: { assistantName: { is: "string" } } }],
  // Recorded from Ray 2.60.0. ray.init() creates a token unless RAY_AUTH_MODE=disabled. Without the token,
  // every path below /api/ returns 401.
  "ray-serve": [{ path: "/api/serve/applications/", json: { applications: { is: "object" } } }],
};

/**
 * Responses that prove that a credential is required, by product. They are needed in addition to status 401
 * and 403. A product returns such a response on a protected path only if a credential is set.
 */
const REQUIRED_ANSWERS: Readonly<Record<string, readonly AuthAnswer[]>> = {
  // Recorded from litellm 1.108.0 with a master_key and without the package prisma. LiteLLM's handler for a
  // failed authentication imports prisma and therefore fails (proxy/db/exception_handler.py). Other errors of
  // LiteLLM are JSON.
  litellm: [
    {
      path: "/v1/models",
      statuses: [500],
      headers: { "content-type": "^text/plain" },
      body: "^Internal Server Error$",
    },
  ],
};

/** Ids of the products for which a response proves open access (`open`) or a required credential (`required`). */
export type AuthProof = { open: ReadonlySet<string>; required: ReadonlySet<string> };

const proofs = new WeakMap<Examined, AuthProof>();

/**
 * The products for which a response proves open access or a required credential. Computed when the response
 * arrives, because its JSON is not kept.
 */
export function authProvenBy(path: string, answer: Examined): AuthProof {
  let proof = proofs.get(answer);
  if (!proof) {
    const productsIn = (table: typeof OPEN_ANSWERS): ReadonlySet<string> => {
      const isFound = (one: AuthAnswer): boolean => one.path === path && matchesTrait(one, answer);
      const found = Object.entries(table).filter(([, answers]) => answers.some(isFound));
      return new Set(found.map(([id]) => id));
    };
    proof = { open: productsIn(OPEN_ANSWERS), required: productsIn(REQUIRED_ANSWERS) };
    proofs.set(answer, proof);
  }
  return proof;
}
