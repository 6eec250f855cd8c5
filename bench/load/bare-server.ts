import { Hono } from "hono";

/** Minimal servers for comparison. They return 202 and do nothing else. */
const kind = process.argv[2];
const hono = new Hono();
hono.post("/v1/heartbeats", (c) => c.body(null, 202));

const FETCH: Record<string, (request: Request) => Response | Promise<Response>> = {
  bare: () => new Response(null, { status: 202 }),
  reading: async (request) => {
    await request.arrayBuffer();
    return new Response(null, { status: 202 });
  },
  hono: (request) => hono.fetch(request),
};

const server = Bun.serve({ hostname: "127.0.0.1", port: Number(process.env.PORT), fetch: FETCH[kind!]! });
console.log(JSON.stringify({ event: "bare.listening", port: server.port }));
