import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { parentOf } from "../../shared/observability/traceparent.ts";
import type { Delivery } from "../heartbeat/parse-heartbeat.ts";

/**
 * Runs `work` in a span that continues the trace of the edge. Without a trace in the heartbeat, it runs
 * `work` alone.
 */
export async function traced(
  delivery: Pick<Delivery, "trace" | "tenantId">,
  work: () => Promise<void>,
): Promise<void> {
  if (delivery.trace === undefined) return work();
  const tracer = trace.getTracer("lifecyclezero.worker");
  const span = tracer.startSpan("heartbeat.record", { kind: SpanKind.CONSUMER }, parentOf(delivery.trace));
  span.setAttribute("lz.tenant", delivery.tenantId);
  try {
    await work();
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR });
    throw error;
  } finally {
    span.end();
  }
}
