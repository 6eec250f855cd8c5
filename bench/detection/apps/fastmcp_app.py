"""A server of FastMCP with one tool, over HTTP."""

import sys

from fastmcp import FastMCP

server = FastMCP("calendar")


@server.tool
def holidays(year: int) -> str:
    """The holidays of a year."""
    return f"{year}: none"


server.run(transport="http", host=sys.argv[1], port=int(sys.argv[2]))
