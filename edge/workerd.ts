import type { ExecutionContext } from "hono";
import { createFetch } from "./app.ts";
import { assemble } from "./composition-root.ts";
import { readConfig } from "./config.ts";

type Fetch = ReturnType<typeof createFetch>;
type Bindings = Record<string, string | undefined>;

// The app is assembled once per isolate. Assembling does no I/O, so requests can share its promise.
let app: Promise<Fetch> | undefined;

async function assembleFetch(bindings: Bindings): Promise<Fetch> {
  // workerd exposes no peer address. LZ_CLIENT_IP_HEADER is the header that Cloudflare sets and that clients
  // cannot set.
  const sourceIp = () => "unknown";
  return createFetch(await assemble(readConfig(bindings), { sharesIo: false, sourceIp }));
}

/** Runs the edge on Cloudflare Workers or plain workerd. */
export default {
  async fetch(request: Request, bindings: Bindings, context: ExecutionContext): Promise<Response> {
    app ??= assembleFetch(bindings);
    return (await app)(request, context);
  },
};
