import { registerOtlp } from "../shared/observability/otlp.ts";
import { createFetch } from "./app.ts";
import { assemble } from "./composition-root.ts";
import { readConfig } from "./config.ts";
import { chooseCredentials } from "./credentials/choose-source.ts";
import { leave } from "./http/graceful-shutdown.ts";
import { bunHashing } from "./runtime/bun-hashing.ts";

/** Runs the edge under Bun. `PORT` 0 picks a free one; the line it prints says which. */
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
const answer = createFetch(deps);

// Before it listens: who hears that it does may stop it at once.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, async () => {
    const code = await leave(deps, () => server.stop());
    await flushTelemetry();
    process.exit(code);
  });
}

const server = Bun.serve({
  hostname: process.env.HOST ?? "127.0.0.1",
  port: Number(process.env.PORT ?? 8787),
  idleTimeout: 10,
  fetch: (request) => answer(request),
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
