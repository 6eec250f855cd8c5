import { registerOtlp } from "../shared/observability/otlp.ts";
import { createFetch } from "./app.ts";
import { assemble } from "./composition-root.ts";
import { readConfig } from "./config.ts";
import { chooseCredentials } from "./credentials/choose-source.ts";
import { shutDown } from "./http/graceful-shutdown.ts";
import { bunHashing } from "./runtime/bun-hashing.ts";

/** Runs the edge under Bun and prints its port as a JSON line at start. `PORT=0` selects a free port. */
const flushTelemetry = registerOtlp("lifecyclezero-edge", process.env);
const config = readConfig(process.env);
const deps = await assemble(config, {
  sharesIo: true,
  chooseCredentials: chooseCredentials({ fetch, readFile: (path) => Bun.file(path).text() }),
  hashing: bunHashing,
  timesOutSlowBodies: true,
  sourceIp: (request) => server.requestIP(request)?.address ?? "unknown",
  keepOpen: (request, seconds) => server.timeout(request, seconds),
});
const handleRequest = createFetch(deps);

// Install the signal handlers before listening, because a supervisor can stop the node as soon as it listens.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, async () => {
    const code = await shutDown(deps, () => server.stop());
    await flushTelemetry();
    process.exit(code);
  });
}

const server = Bun.serve({
  hostname: process.env.HOST ?? "127.0.0.1",
  port: Number(process.env.PORT ?? 8787),
  idleTimeout: 10,
  fetch: (request) => handleRequest(request),
});
console.log(
  JSON.stringify({
    stage: "edge",
    event: "edge.listening",
    runtime: "bun",
    role: config.LZ_ROLE,
    port: server.port,
  }),
);
