import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "mcp-stdio",
  name: "MCP server (stdio)",
  kind: "mcp",
  ports: [],
  names: [],
  runsOn: ["node", "python"],
  commands: [
    "/node_modules/@modelcontextprotocol/server-[a-z-]+/",
    "/\\.?bin/mcp-server-[a-z0-9-]+(?: |$)",
    "[/ ]fastmcp run\\b",
  ],
  traits: [],
  sources: ["https://github.com/modelcontextprotocol/servers"],
  fixtures: {
    positive: [
      {
        source: "documented: github.com/modelcontextprotocol/servers (npx)",
        process: {
          executable: "/usr/bin/node",
          argv: [
            "node",
            "/home/ada/.npm/_npx/1a2b/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js",
            "/home/ada",
          ],
        },
      },
      {
        source:
          "recorded from a run: @modelcontextprotocol/server-everything by npx, the program below npm exec",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/home/ada/.npm/_npx/1a2b/node_modules/.bin/mcp-server-everything"],
        },
      },
      {
        source: "documented: github.com/modelcontextprotocol/servers (uvx)",
        process: {
          executable: "/home/ada/.cache/uv/archive-v0/x/bin/python3.12",
          argv: ["python", "/home/ada/.cache/uv/archive-v0/x/bin/mcp-server-git", "--repository", "."],
        },
      },
    ],
    negative: [
      {
        source: "made up: an editor that opens a file of an MCP server",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/opt/editor/server.js", "/home/ada/node_modules/.bin/mcp-server-everything"],
        },
      },
      {
        source: "made up: another npm program with an argument like an MCP server's name",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/home/ada/app/node_modules/.bin/http-server", "mcp-server-docs"],
        },
      },
      {
        source: "made up: any Node program",
        process: { executable: "/usr/bin/node", argv: ["node", "/srv/app/server.js"] },
      },
      {
        source: "made up: any Python program",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "app.py"] },
      },
    ],
  },
};

export default entry;
