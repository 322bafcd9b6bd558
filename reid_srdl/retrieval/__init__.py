"""Search in embeddings: an index of a gallery, in a file (faiss) or in a database (Milvus), behind one interface."""

from __future__ import annotations

from .index import Added, Hits, Index
from .opening import BACKENDS, create_index, open_index

__all__ = ["BACKENDS", "Added", "Hits", "Index", "create_index", "open_index"]
