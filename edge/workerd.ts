import type { ExecutionContext } from "hono";
import { createFetch } from "./app.ts";
import { assemble } from "./composition-root.ts";
import { readConfig } from "./config.ts";

type Fetch = ReturnType<typeof createFetch>;
type Bindings = Record<string, string | undefined>;

// Keys are imported once per isolate. Nothing in here waits for I/O, so requests may share it.
let answer: Promise<Fetch> | undefined;

async function assembleFetch(bindings: Bindings): Promise<Fetch> {
  // There is no connection to ask: LZ_CLIENT_IP_HEADER names the header that Cloudflare sets and clients cannot.
  const sourceIp = () => "unknown";
  return createFetch(await assemble(readConfig(bindings), { sharesIo: false, sourceIp }));
}

/** Runs the edge on Cloudflare Workers or plain workerd. */
export default {
  async fetch(request: Request, bindings: Bindings, context: ExecutionContext): Promise<Response> {
    answer ??= assembleFetch(bindings);
    return (await answer)(request, context);
  },
};
