import { isJsonObject } from "../../shared/encoding/json-object.ts";
import { parseJson, readBounded, withTimeout } from "./control-plane-client.ts";

const HEALTH_TIMEOUT_MS = 3000;
const HEALTH_BYTES_MAX = 1024;

/**
 * Whether the control plane responds to `GET /healthz` over a new connection. Status 200 alone is not enough:
 * a captive portal responds for any host, and its page does not prove that the control plane is reachable.
 */
export async function isControlPlaneHealthy(
  fetch: (url: string, init: RequestInit) => Promise<Response>,
  edgeUrl: string,
  signal: AbortSignal,
): Promise<boolean> {
  const health = await withTimeout(signal, HEALTH_TIMEOUT_MS, async (bounded) => {
    const init = { keepalive: false, redirect: "manual", signal: bounded } as const;
    const response = await fetch(`${edgeUrl}/healthz`, init);
    const body = parseJson(await readBounded(response, HEALTH_BYTES_MAX));
    return {
      kind: "health",
      isOk: response.status === 200 && isJsonObject(body) && body.status === "ok",
    } as const;
  });
  return health.kind === "health" && health.isOk;
}
