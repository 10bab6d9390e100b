"""HEAD wherever GET is (RFC 9110, 9.3.2): Litestar responds with 405."""

from __future__ import annotations

from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute


class HeadRequests(ReceiveRoutePlugin):
    """Gives HEAD to the handler of GET. Servers send the head of its response, and no body."""

    def receive_route(self, route: BaseRoute) -> None:
        """Route HEAD as GET, and name it in `Allow`."""
        if isinstance(route, HTTPRoute) and "GET" in route.route_handler_map:
            route.route_handler_map.setdefault("HEAD", route.route_handler_map["GET"])
