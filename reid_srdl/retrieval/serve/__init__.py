"""A page and a REST API over an index: ``service.py`` knows no web, ``app.py`` is the web around it.

Nothing here imports FastAPI before a server is wanted: it is an extra.
"""

from __future__ import annotations
