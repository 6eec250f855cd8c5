import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { enrolAsset, eventually, startTestStack, type TestStack } from "../../support/stack.ts";

type Span = { traceId: string; spanId: string; parentSpanId?: string; name: string };

/** Starts a stub of an OpenTelemetry collector that receives OTLP over HTTP as JSON. */
function startCollector() {
  const spans: Span[] = [];
  const metrics = new Set<string>();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      // An agent on this machine can probe this port. The probes are not POST requests.
      if (request.method !== "POST") return new Response("Not found", { status: 404 });
      const body = await request.json();
      const path = new URL(request.url).pathname;
      if (path === "/v1/traces") spans.push(...spansOf(body));
      if (path === "/v1/metrics") for (const name of metricsOf(body)) metrics.add(name);
      return Response.json({});
    },
  });
  return { spans, metrics, url: `http://127.0.0.1:${server.port}`, stop: () => server.stop(true) };
}

const spansOf = (body: { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] }) =>
  body.resourceSpans.flatMap((resource) => resource.scopeSpans.flatMap((scope) => scope.spans));
const metricsOf = (body: { resourceMetrics: { scopeMetrics: { metrics: { name: string }[] }[] }[] }) =>
  body.resourceMetrics.flatMap((resource) =>
    resource.scopeMetrics.flatMap((scope) => scope.metrics.map(({ name }) => name)),
  );

for (const runtime of ["bun", "deno"] as const)
  describe(`telemetry with the edge on ${runtime}`, () => {
    const collector = startCollector();
    let stack: TestStack;
    beforeAll(async () => {
      stack = await startTestStack(runtime, {
        environment: {
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
          OTEL_TRACES_SAMPLER_ARG: "1",
          OTEL_BSP_SCHEDULE_DELAY: "200",
          OTEL_METRIC_EXPORT_INTERVAL: "300",
          // Deno has its own OpenTelemetry SDK, which uses Protobuf by default.
          OTEL_DENO: "true",
          OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        },
      });
    });
    afterAll(async () => {
      await stack?.stop();
      await collector.stop();
    });

    test("one trace covers the heartbeat from the edge through the queue to the table", async () => {
      const asset = await enrolAsset(stack, "traced");
      expect((await asset.beat()).status).toBe(202);
      const recorded = await eventually(async () =>
        collector.spans.find((span) => span.name === "heartbeat.record"),
      );
      const ingested = await eventually(async () =>
        collector.spans.find((span) => span.name === "heartbeat.ingest"),
      );
      expect(recorded.traceId).toBe(ingested.traceId);
      expect(recorded.parentSpanId).toBe(ingested.spanId);
    }, 30_000);

    test("the edge counts responses, rejections and sent messages", async () => {
      await fetch(`${stack.edgeUrl}/v1/heartbeats`, { method: "POST" });
      await eventually(async () =>
        ["lz.edge.requests", "lz.edge.request.duration", "lz.edge.refusals", "lz.edge.packs"].every((name) =>
          collector.metrics.has(name),
        ),
      );
    }, 30_000);

    test("the edge reports ready only while the queue responds", async () => {
      expect((await fetch(`${stack.edgeUrl}/readyz`)).status).toBe(200);
      await stack.stages.get("sqs")!.stop();
      await eventually(async () => (await fetch(`${stack.edgeUrl}/readyz`)).status === 503);
      expect((await fetch(`${stack.edgeUrl}/healthz`)).status).toBe(200);
    });
  });
