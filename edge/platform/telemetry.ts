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
 * Metrics and traces of the edge through the OpenTelemetry API. If no SDK is registered, they cost almost
 * nothing. Attributes contain routes, codes and tenants, but never values that an agent sent.
 */
export type Instruments = {
  /** Counts a response. `route` is the route pattern and not the URL. */
  answered(route: string, status: number, durationMs: number): void;
  /** Counts a refusal by its code. */
  refused(code: string): void;
  /** Counts a send to the queue. `ok` is false if the queue did not accept it. */
  sent(heartbeats: number, ok: boolean): void;
  /** Counts a fetch of the issuer's keys. `ageMs` is the age of the cached keys after the fetch. */
  issuerKeysAsked(ok: boolean, ageMs: number | undefined): void;
  /** Records the age of a tenant's pending actions at the end of a refresh, whether or not the refresh succeeded. */
  actionSetAge(ageMs: number): void;
  /**
   * Starts the span of a heartbeat, which ends when the queue has accepted the heartbeat. If an authenticated
   * agent sent a span, that span is the parent.
   */
  startIngest(traceparent: string | null, startedAtMs: number): IngestSpan;
};

export type IngestSpan = {
  /** W3C traceparent for the worker. Undefined if the trace is not sampled. */
  traceparent: string | undefined;
  end(outcome: { tenantId: string } | { refused: string } | { fault: unknown }): void;
};

export function createInstruments(meter: Meter, tracer: Tracer): Instruments {
  const requests = meter.createCounter("lz.edge.requests", {
    description: "number of responses by route and status",
  });
  const duration = meter.createHistogram("lz.edge.request.duration", { unit: "ms" });
  const refusals = meter.createCounter("lz.edge.refusals", {
    description: "number of refused requests by code",
  });
  const packs = meter.createCounter("lz.edge.packs", {
    description: "number of messages sent to the queue by outcome",
  });
  const packSize = meter.createHistogram("lz.edge.pack.heartbeats", {
    description: "number of heartbeats per message",
  });
  const actionSetAge = meter.createHistogram("lz.edge.open_actions.age", {
    unit: "ms",
    description: "age of a tenant's pending actions at the end of a refresh",
  });
  const issuerKeys = meter.createCounter("lz.edge.issuer_keys.fetches", {
    description: "number of fetches of the identity provider's keys by outcome",
  });
  const issuerKeysAge = meter.createHistogram("lz.edge.issuer_keys.age", {
    unit: "ms",
    description: "age of the identity provider's cached keys after a fetch",
  });
  // Without an SDK, spans have an invalid context. A span is then only needed as the child of an agent's
  // span.
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
