import {
  isSpanContextValid,
  type Meter,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
} from "@opentelemetry/api";
import { parentOf, traceparentOf } from "../../shared/observability/traceparent.ts";

/**
 * What operators see of the edge from outside, by the OpenTelemetry API. Without a registered SDK all of it costs
 * next to nothing. Attributes hold routes, codes and tenants: never an asset's strings.
 */
export type Instruments = {
  /** One request answered. `route` is the pattern, not the address. */
  answered(route: string, status: number, durationMs: number): void;
  refused(code: string): void;
  /** One pack sent, or not. */
  sent(heartbeats: number, ok: boolean): void;
  /** The issuer was asked for its keys. `ageMs`: of the keys that are held afterwards. */
  issuerKeysAsked(ok: boolean, ageMs: number | undefined): void;
  /** How old a set of open actions was when a try to refresh it ended, well or not. */
  actionSetAge(ageMs: number): void;
  /** Span of one heartbeat's way into the queue, a child of the agent's where an authentic one sent its own. */
  startIngest(traceparent: string | null, startedAtMs: number): IngestSpan;
};

export type IngestSpan = {
  /** W3C traceparent for those who come after, when the trace is sampled. */
  traceparent: string | undefined;
  end(outcome: { tenantId: string } | { refused: string } | { fault: unknown }): void;
};

export function createInstruments(meter: Meter, tracer: Tracer): Instruments {
  const requests = meter.createCounter("lz.edge.requests", { description: "requests answered" });
  const duration = meter.createHistogram("lz.edge.request.duration", { unit: "ms" });
  const refusals = meter.createCounter("lz.edge.refusals", { description: "requests refused, by code" });
  const packs = meter.createCounter("lz.edge.packs", {
    description: "messages sent to the queue, by outcome",
  });
  const packSize = meter.createHistogram("lz.edge.pack.heartbeats", {
    description: "heartbeats in a message",
  });
  const actionSetAge = meter.createHistogram("lz.edge.open_actions.age", {
    unit: "ms",
    description: "age of a set of open actions when a try to refresh it ended",
  });
  const issuerKeys = meter.createCounter("lz.edge.issuer_keys.fetches", {
    description: "times the identity provider was asked for its keys, by outcome",
  });
  const issuerKeysAge = meter.createHistogram("lz.edge.issuer_keys.age", {
    unit: "ms",
    description: "age of the identity provider's keys after it was asked for them",
  });
  // Without an SDK a tracer makes spans that have no name. Then only those of an agent have to be carried on.
  const isTracing = isSpanContextValid(tracer.startSpan("edge.start").spanContext());
  return {
    answered(route, status, durationMs) {
      requests.add(1, { route, status });
      duration.record(durationMs, { route });
    },
    refused: (code) => refusals.add(1, { code }),
    sent(heartbeats, ok) {
      packs.add(1, { outcome: ok ? "accepted" : "failed" });
      if (ok) packSize.record(heartbeats);
    },
    issuerKeysAsked(ok, ageMs) {
      issuerKeys.add(1, { outcome: ok ? "fetched" : "failed" });
      if (ageMs !== undefined) issuerKeysAge.record(ageMs);
    },
    actionSetAge: (ageMs) => actionSetAge.record(ageMs),
    startIngest(traceparent, startTime) {
      if (traceparent === null && !isTracing) return NO_SPAN;
      const parent = traceparent === null ? ROOT_CONTEXT : parentOf(traceparent);
      const span = tracer.startSpan("heartbeat.ingest", { kind: SpanKind.SERVER, startTime }, parent);
      return { traceparent: traceparentOf(span), end: (outcome) => endIngest(span, outcome) };
    },
  };
}

const NO_SPAN: IngestSpan = { traceparent: undefined, end: () => {} };

function endIngest(span: Span, outcome: Parameters<IngestSpan["end"]>[0]): void {
  if (span.isRecording()) {
    if ("tenantId" in outcome) span.setAttribute("lz.tenant", outcome.tenantId);
    else if ("refused" in outcome) span.setAttribute("lz.refused", outcome.refused);
    else span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}
