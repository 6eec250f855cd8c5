import { createApp } from "./app.ts";
import { assemble } from "./assemble.ts";
import { readConfig } from "./config.ts";

type App = ReturnType<typeof createApp>;
type Bindings = Record<string, string | undefined>;

// Keys are imported once per isolate. Nothing in here waits for I/O, so requests may share it.
let app: Promise<App> | undefined;

async function assembleApp(bindings: Bindings): Promise<App> {
  const sourceIp = (request: Request) => request.headers.get("cf-connecting-ip") ?? "unknown";
  return createApp(await assemble(readConfig(bindings), { sharesIo: false, sourceIp }));
}

/** Runs the edge on Cloudflare Workers or plain workerd. */
export default {
  async fetch(request: Request, bindings: Bindings): Promise<Response> {
    app ??= assembleApp(bindings);
    return (await app).fetch(request);
  },
};
