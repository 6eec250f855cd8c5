import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "mcp-http",
  name: "MCP server (HTTP)",
  kind: "mcp",
  ports: [],
  names: ["mcpo"],
  runsOn: ["python", "node"],
  // mcpo serves the tools of an MCP server as an HTTP API.
  commands: ["(?:^|/)bin/mcpo(?: -|$)", "^mcpo -", "-m mcpo(?: |$)"],
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
      path: "/mcp",
      // Stateless servers open the event stream for any client. Until there is an event, these servers send
      // only comments.
      headers: { "content-type": "^text/event-stream" },
      body: "^(?::[^\\n]*|\\s)*$",
      weight: "strong",
      says: "an open event stream of the Model Context Protocol",
    },
    {
      path: "/sse",
      headers: { "content-type": "^text/event-stream" },
      body: "event: endpoint\\r?\\ndata: \\S*(?:session_?id)=",
      weight: "strong",
      says: "an event stream that names its message endpoint",
    },
    {
      path: "/openapi.json",
      json: { "info.description": { matches: "^Automatically generated API from MCP Tool Schemas" } },
      weight: "strong",
      says: "an API description generated from MCP tools",
    },
    {
      path: "/openapi.json",
      body: '"operationId":\\s*"tool_(\\w+)_post".{0,400}?/schemas/\\1_form_model"',
      weight: "strong",
      says: "an API description whose operations are MCP tools",
    },
  ],
  sources: [
    "https://modelcontextprotocol.io/specification/2025-06-18/basic/transports",
    "https://github.com/open-webui/mcpo",
  ],
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
        source: "code: mcp 2.3.0 (PyPI) server/auth/middleware/bearer_auth.py (RFC 9728 challenge)",
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
      {
        source: "recorded from mcp 2.3.0 for Python (streamable HTTP, stateless); the stream does not end",
        answers: {
          "/": {
            status: 404,
            headers: { server: "uvicorn", "content-type": "text/plain; charset=utf-8" },
            body: "Not Found",
          },
          "/mcp": { headers: { server: "uvicorn", "content-type": "text/event-stream" } },
          "/sse": {
            status: 404,
            headers: { server: "uvicorn", "content-type": "text/plain; charset=utf-8" },
            body: "Not Found",
          },
        },
      },
      {
        source: "recorded from mcpo 0.0.20 with a configuration file",
        answers: {
          "/": { status: 404, headers: { server: "uvicorn" }, body: { detail: "Not Found" } },
          "/openapi.json": {
            headers: { server: "uvicorn" },
            body: {
              openapi: "3.1.0",
              info: {
                title: "MCP OpenAPI Proxy",
                description:
                  "Automatically generated API from MCP Tool Schemas\n\n- **available tools**：\n    - [demo](/demo/docs)",
                version: "1.0",
              },
              paths: {},
            },
          },
        },
      },
      {
        source: "recorded from FastMCP 4.2.3 for Python (streamable HTTP)",
        answers: {
          "/": {
            status: 404,
            headers: { server: "uvicorn", "content-type": "text/plain; charset=utf-8" },
            body: "Not Found",
          },
          "/mcp": {
            status: 400,
            headers: { server: "uvicorn" },
            body: {
              jsonrpc: "2.0",
              id: null,
              error: { code: -32600, message: "Bad Request: Missing session ID" },
            },
          },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "/venv/bin/fastmcp",
            "run",
            "srv.py",
            "--transport",
            "http",
            "--host",
            "127.0.0.1",
            "--port",
            "21142",
          ],
        },
      },
      {
        source: "recorded from mcp-proxy 0.13.0 for Python before a stdio server",
        answers: {
          "/": {
            status: 404,
            headers: { server: "uvicorn", "content-type": "text/plain; charset=utf-8" },
            body: "Not Found",
          },
          "/mcp": {
            status: 406,
            headers: { server: "uvicorn" },
            body: {
              jsonrpc: "2.0",
              id: "server-error",
              error: { code: -32600, message: "Not Acceptable: Client must accept text/event-stream" },
            },
          },
          "/sse": {
            headers: { server: "uvicorn", "content-type": "text/event-stream; charset=utf-8" },
            body: "event: endpoint\r\ndata: /messages/?session_id=d21fac871b1342988d44209af26acd52\r\n\r\n",
          },
          "/status": {
            headers: { server: "uvicorn" },
            body: {
              api_last_activity: "2026-11-27T10:10:10.310752+00:00",
              active_sse_connections: 1,
              server_instances: { default: "configured" },
            },
          },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "/venv/bin/mcp-proxy",
            "--host",
            "127.0.0.1",
            "--port",
            "21143",
            "--",
            "/venv/bin/python",
            "tool.py",
          ],
        },
      },
      {
        source: "recorded from mcpo 0.0.20 before one stdio server with a tool",
        answers: {
          "/": { status: 404, headers: { server: "uvicorn" }, body: { detail: "Not Found" } },
          "/openapi.json": {
            headers: { server: "uvicorn" },
            body: '{"openapi":"3.1.0","info":{"title":"demo","description":"demo MCP Server","version":"4.2.3"},"paths":{"/add":{"post":{"summary":"Add","operationId":"tool_add_post","requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/add_form_model"}}},"required":true},"responses":{"200":{"description":"Successful Response"',
          },
        },
      },
      {
        source: "recorded from mcpo 0.0.20, its process",
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "/venv/bin/mcpo",
            "--port",
            "21141",
            "--",
            "/venv/bin/python",
            "tool.py",
          ],
        },
      },
      {
        source: "code: mcpo 0.0.20 (PyPI) mcpo/__main__.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "-m", "mcpo", "--port", "8000"],
        },
      },
    ],
    negative: [
      {
        source: "made up: an API description by FastAPI with operations named tools",
        answers: {
          "/openapi.json": {
            body: '{"openapi":"3.1.0","info":{"title":"Workshop","version":"0.1.0"},"paths":{"/tool/{id}":{"post":{"summary":"Tool","operationId":"tool_tool__id__post","requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Tool"}}}}}}}}',
          },
        },
      },
      {
        source: "made up: an editor that opens the folder of mcpo",
        process: { executable: "/usr/share/code/code", argv: ["/usr/share/code/code", "/home/ann/src/mcpo"] },
      },
      {
        source: "made up: a price stream at the path /mcp",
        answers: {
          "/mcp": { headers: { "content-type": "text/event-stream" }, body: 'data: {"price":17}\n\n' },
        },
      },
      {
        source: "made up: an empty page at the path /mcp",
        answers: { "/mcp": { headers: { "content-type": "text/html" } } },
      },
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
