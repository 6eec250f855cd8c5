"""A stateless MCP server of the official Python SDK 2.x over streamable HTTP, as its documentation starts one."""

import sys

from mcp.server import MCPServer

server = MCPServer("weather")


@server.tool()
def forecast(city: str) -> str:
    """The weather of a city."""
    return f"{city}: sun"


server.run(transport="streamable-http", host=sys.argv[1], port=int(sys.argv[2]), stateless_http=True)
