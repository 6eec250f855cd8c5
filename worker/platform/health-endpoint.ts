import { exposition, type Metrics } from "./metrics.ts";
import type { Watchdog } from "./watchdog.ts";

/** `/metrics` for whoever scrapes, `/healthz` for whoever restarts; nothing else is here. */
export function answerProbe(request: Request, metrics: Metrics, watchdog: Watchdog): Response {
  const { pathname } = new URL(request.url);
  if (pathname === "/metrics")
    return new Response(exposition(metrics), { headers: { "content-type": "text/plain; version=0.0.4" } });
  if (pathname !== "/healthz") return new Response("not found\n", { status: 404 });
  const silentSeconds = Math.round(watchdog.silentSeconds());
  return Response.json({ silentSeconds }, { status: watchdog.isWell() ? 200 : 503 });
}
