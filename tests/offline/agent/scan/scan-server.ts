/*
 * Serves the responses given as its first argument, so that a scan can probe real sockets of a real process:
 * `{ "kind": "http" | "https" | "mute" | "banner", "answers": { path: { status, headers, body } } }[]`.
 * Prints the ports as one JSON line. The server ends when its standard input is closed, so it never outlives
 * its test.
 */
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

type Served = { status?: number; headers?: Record<string, string>; body?: unknown };
type Spec = {
  kind: "http" | "https" | "mute" | "banner";
  address?: string;
  /** Port of the server. Default: a free port. */
  port?: number;
  answers?: Record<string, Served>;
};

/** A binary compiled from this file cannot use paths relative to the repository, so it needs TLS_DIRECTORY. */
const TLS_DIRECTORY = process.env.TLS_DIRECTORY ?? join(import.meta.dir, "../../../fixtures/tls");
const tls = (name: string) => readFileSync(join(TLS_DIRECTORY, name), "utf8");

function serveHttp(spec: Spec): number {
  const server = Bun.serve({
    port: spec.port ?? 0,
    hostname: spec.address ?? "127.0.0.1",
    ...(spec.kind === "https" && { tls: { key: tls("self-signed-key.pem"), cert: tls("self-signed.pem") } }),
    fetch: (request) => {
      const url = new URL(request.url);
      // Like a server that checks the Host header, this server requires its port in that header.
      if (!request.headers.get("host")?.endsWith(`:${url.port}`))
        return new Response("bad host", { status: 421 });
      const answer = spec.answers?.[url.pathname] ?? spec.answers?.["*"];
      if (!answer || request.method !== "GET") return new Response("Not Found", { status: 404 });
      const body = typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body ?? {});
      return new Response(body, { status: answer.status ?? 200, headers: answer.headers ?? {} });
    },
  });
  return server.port!;
}

function serveRaw(kind: Spec["kind"]): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", () => {
      // PostgreSQL's error message for an unknown packet. PostgreSQL then closes the connection.
      if (kind === "banner") socket.end(Buffer.from("E\0\0\0\x0eSFATAL\0\0", "latin1"));
    });
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}

const specs = JSON.parse(process.argv[2]!) as Spec[];
const ports: number[] = [];
for (const spec of specs) {
  ports.push(spec.kind === "mute" || spec.kind === "banner" ? await serveRaw(spec.kind) : serveHttp(spec));
}
console.log(JSON.stringify(ports));
for await (const _ of process.stdin) {
  // The test sends no data. Only the end of standard input matters.
}
process.exit(0);
