import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "mcp-http",
  name: "MCP server (HTTP)",
  kind: "mcp",
  ports: [],
  names: [],
  absorbs: ["mcp-stdio"],
  traits: [
    {
      path: "/mcp",
      statuses: [400, 405, 406],
      json: {
        jsonrpc: { matches: "^2\\.0$" },
        "error.message": { matches: "session|event-stream|method not allowed" },
      },
      weight: "strong",
      says: "a JSON-RPC refusal of the Model Context Protocol",
    },
    {
      path: "/mcp",
      statuses: [401],
      headers: { "www-authenticate": "resource_metadata=" },
      weight: "strong",
      says: "a refusal that names the protected MCP resource",
    },
    {
      path: "/sse",
      headers: { "content-type": "^text/event-stream" },
      body: "event: endpoint\\r?\\ndata: \\S*(?:session_?id)=",
      weight: "strong",
      says: "an event stream that names its message endpoint",
    },
  ],
  sources: ["https://modelcontextprotocol.io/specification/2025-06-18/basic/transports"],
  fixtures: {
    positive: [
      {
        source: "recorded from supergateway 4.0.0 (npm) before a stdio server, --outputTransport sse",
        answers: {
          "/": { status: 404, headers: { "x-powered-by": "Express" }, body: "Cannot GET /" },
          "/sse": {
            headers: { "content-type": "text/event-stream" },
            body: "event: endpoint\ndata: /message?sessionId=2f6c1f0e-8f0e-4b8e-9b1c-0c5a7d1e2f3a\n\n",
          },
        },
      },
      {
        source: "recorded from @modelcontextprotocol/server-everything 2026.8.31 (streamable HTTP)",
        answers: {
          "/": {
            status: 404,
            headers: {
              "x-powered-by": "Express",
              "access-control-expose-headers": "mcp-session-id,last-event-id,mcp-protocol-version",
            },
            body: "<!DOCTYPE html><pre>Cannot GET /</pre>",
          },
          "/mcp": {
            status: 400,
            body: {
              jsonrpc: "2.0",
              error: { code: -32000, message: "Bad Request: No valid session ID provided" },
            },
          },
        },
      },
      {
        source: "recorded from mcp 2.3.0 for Python (streamable HTTP)",
        answers: {
          "/mcp": {
            status: 400,
            headers: { server: "uvicorn", "mcp-session-id": "177790cedeb44a44a284233410733d1c" },
            body: {
              jsonrpc: "2.0",
              id: null,
              error: { code: -32600, message: "Bad Request: Missing session ID" },
            },
          },
        },
      },
      {
        source: "recorded from mcp 2.3.0 for Python (SSE)",
        answers: {
          "/sse": {
            status: 200,
            headers: { server: "uvicorn", "content-type": "text/event-stream; charset=utf-8" },
            body: "event: endpoint\r\ndata: /messages/?session_id=b4edfecf6a3c40debaf382884ed1afae\r\n\r\n",
          },
        },
      },
      {
        source: "documented: modelcontextprotocol.io authorization (RFC 9728 challenge)",
        answers: {
          "/mcp": {
            status: 401,
            headers: {
              "www-authenticate":
                'Bearer resource_metadata="https://example.com/.well-known/oauth-protected-resource"',
            },
            body: { error: "invalid_token" },
          },
        },
      },
    ],
    negative: [
      {
        source: "made up: another event stream",
        answers: {
          "/sse": {
            status: 200,
            headers: { "content-type": "text/event-stream" },
            body: "event: ping\ndata: 1\n\n",
          },
        },
      },
      {
        source: "made up: another JSON-RPC service",
        answers: {
          "/mcp": {
            status: 400,
            body: { jsonrpc: "2.0", error: { code: -32601, message: "Method missing" } },
          },
        },
      },
    ],
  },
};

export default entry;
