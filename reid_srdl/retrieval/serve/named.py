"""Refuses fields that a route does not have: a misspelt one would otherwise silently be left at its default."""

from __future__ import annotations

import difflib
import inspect

from fastapi import Request

from .refused import Refused


async def only_known(request: Request) -> None:
    """Checks requests to the routes of the API; those to the page's own may have a token in the link.

    Raises:
        Refused: (422) a field of the form or of the link that the route does not take.
    """
    route = request.scope["route"]
    if not route.include_in_schema:
        return
    known = set(inspect.signature(route.endpoint).parameters)
    sent = await request.form() if request.method == "POST" else request.query_params  # a form is read already, and kept
    for name in sent:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            raise Refused(422, f"there is no field {name[:100]!r}", f"Did you mean {near[0]}?" if near else f"It takes {', '.join(sorted(known))}.")
    if sent is not request.query_params and request.query_params:
        raise Refused(422, f"{next(iter(request.query_params))[:100]!r} stands in the link", "Send it as a field of the form.")
