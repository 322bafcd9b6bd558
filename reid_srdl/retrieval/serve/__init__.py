"""A page and a REST API over an index: ``service.py`` computes what is asked, ``app.py`` has the web routes to it.

FastAPI is an extra, so it is imported only once a server is started.
"""

from __future__ import annotations
