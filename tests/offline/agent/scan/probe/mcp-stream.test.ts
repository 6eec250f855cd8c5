import { afterAll, expect, test } from "bun:test";
import { createServer, type Server } from "node:http";
import { catalogue } from "../../../../../agent/catalogue/engines/list.ts";
import { fingerprint } from "../../../../../agent/scan/probe/fingerprint.ts";
import { createProbe } from "../../../../../agent/scan/probe/probe.ts";

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** Starts a server with an endless event stream at one path. The stream starts with the text `begins`. */
async function streaming(path: string, begins: string): Promise<number> {
  const server = createServer((request, response) => {
    if (request.url !== path) return void response.writeHead(404).end("Not Found");
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    if (begins !== "") response.write(begins);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

test.each([
  ["that sends nothing is an MCP server", "/mcp", "", "mcp-http"],
  ["that sends comments is an MCP server", "/mcp", ": ping - 2026-11-30\r\n\r\n", "mcp-http"],
  ["of events is none", "/mcp", "data: 17\n\n", undefined],
  ["at another path is none", "/events", "", undefined],
])(
  "an endless event stream %s",
  async (_what, path, begins, id) => {
    const port = await streaming(path, begins);
    const deps = { probe: createProbe(), catalogue, elapsed: () => performance.now() };
    const found = await fingerprint(deps, { address: "127.0.0.1", port }, new Set());
    expect(found.judgement.winner?.entry.id).toBe(id!);
  },
  20_000,
);
