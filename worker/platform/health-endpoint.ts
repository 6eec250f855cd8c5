import { exposition, type Metrics } from "./metrics.ts";
import type { Watchdog } from "./watchdog.ts";

/**
 * Serves `/metrics` (Prometheus) and `/healthz`. The status of `/healthz` is 200, or 503 if the worker makes
 * no progress. All other paths return 404.
 */
export function answerProbe(request: Request, metrics: Metrics, watchdog: Watchdog): Response {
  const { pathname } = new URL(request.url);
  if (pathname === "/metrics")
    return new Response(exposition(metrics), { headers: { "content-type": "text/plain; version=0.0.4" } });
  if (pathname !== "/healthz") return new Response("not found\n", { status: 404 });
  const silentSeconds = Math.round(watchdog.silentSeconds());
  return Response.json({ silentSeconds }, { status: watchdog.isWell() ? 200 : 503 });
}
