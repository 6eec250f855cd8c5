import { createFetch } from "./app.ts";
import { assemble } from "./composition-root.ts";
import { readConfig } from "./config.ts";
import { chooseCredentials } from "./credentials/choose-source.ts";
import { shutDown } from "./http/graceful-shutdown.ts";
import { denoHashing } from "./runtime/deno-hashing.ts";

/** Runs the edge under Deno and prints its port as a JSON line at start. `PORT=0` selects a free port. */
const config = readConfig(Deno.env.toObject());
const addresses = new WeakMap<Request, string>();
const deps = await assemble(config, {
  sharesIo: true,
  chooseCredentials: chooseCredentials({ fetch, readFile: (path) => Deno.readTextFile(path) }),
  hashing: denoHashing,
  sourceIp: (request) => addresses.get(request) ?? "unknown",
});
const handleRequest = createFetch(deps);

// Install the signal handlers before listening, because a supervisor can stop the node as soon as it listens.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, async () => Deno.exit(await shutDown(deps, () => server.shutdown())));
}

const server = Deno.serve(
  {
    hostname: Deno.env.get("HOST") ?? "127.0.0.1",
    port: Number(Deno.env.get("PORT") ?? 8787),
    onListen: ({ port }) =>
      console.log(
        JSON.stringify({
          stage: "edge",
          event: "edge.listening",
          runtime: "deno",
          role: config.LZ_ROLE,
          port,
        }),
      ),
  },
  (request, { remoteAddr }) => {
    addresses.set(request, remoteAddr.hostname);
    return handleRequest(request);
  },
);
