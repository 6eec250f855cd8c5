import { metrics, trace } from "@opentelemetry/api";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace-base";

/**
 * Default share of traces that are sampled. The heartbeats of a fleet are similar, so one trace in a hundred
 * is enough.
 */
const SAMPLED_SHARE_DEFAULT = 0.01;

const METRIC_INTERVAL_MS_DEFAULT = 60_000;
/**
 * Timeout of the last export in milliseconds, so that an unresponsive collector does not delay the end of the
 * process.
 */
const FLUSH_MS_MAX = 3000;

/**
 * Registers OpenTelemetry for a Bun process if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.
 * `OTEL_TRACES_SAMPLER_ARG` is the share of sampled traces, from 0 to 1. The exporters read their own
 * variables (opentelemetry.io/docs/specs/otel/protocol/exporter).
 *
 * @returns a function that exports the remaining data when the process ends, within three seconds
 */
export function registerOtlp(
  serviceName: string,
  environment: Record<string, string | undefined>,
): () => Promise<void> {
  if (!environment.OTEL_EXPORTER_OTLP_ENDPOINT) return async () => {};
  const resource = resourceFromAttributes({
    "service.name": serviceName,
    "service.namespace": "lifecyclezero",
  });
  const share = Number(environment.OTEL_TRACES_SAMPLER_ARG ?? SAMPLED_SHARE_DEFAULT);
  const intervalMs = Number(environment.OTEL_METRIC_EXPORT_INTERVAL ?? METRIC_INTERVAL_MS_DEFAULT);
  const tracerProvider = new BasicTracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const meterProvider = new MeterProvider({
    resource,
    readers: [
      new PeriodicExportingMetricReader({
        exporter: new OTLPMetricExporter(),
        exportIntervalMillis: intervalMs,
        exportTimeoutMillis: Math.min(intervalMs, 10_000),
      }),
    ],
  });
  trace.setGlobalTracerProvider(tracerProvider);
  metrics.setGlobalMeterProvider(meterProvider);
  return async () => {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, FLUSH_MS_MAX);
    await Promise.race([
      Promise.allSettled([tracerProvider.shutdown(), meterProvider.shutdown()]),
      late.promise,
    ]);
    clearTimeout(timer);
  };
}
