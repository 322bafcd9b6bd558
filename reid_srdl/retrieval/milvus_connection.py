"""Connections to Milvus: to a server by its address, or to Milvus Lite in a folder, which one process at a time can open."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import UserError

CONNECT_SECONDS = 5.0
"""Seconds after which a Milvus that does not answer is given up."""

_LITE_SUFFIX = ".db"
_open_lite: Counter[str] = Counter()
_lite_lock = threading.Lock()


def is_lite(uri: str) -> bool:
    """Whether this is a folder of Milvus Lite, and not an address."""
    return uri.endswith(_LITE_SUFFIX)


def check_address(uri: str) -> None:
    """Raises ``UserError`` for what is no address of a Milvus, and for one with a name or password, since index files hold addresses."""
    if is_lite(uri):
        return
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise UserError(f"{uri} is no address ({error})", "Give one such as http://localhost:19530, or a local path that ends in .db for Milvus Lite.") from None
    if parts.scheme not in ("http", "https", "tcp", "unix"):
        raise UserError(f"{uri} is no Milvus", "Give an address such as http://localhost:19530, or a local path that ends in .db for Milvus Lite.")
    if parts.username or parts.password:
        raise UserError("the address holds a name or password, and would be written into the index", "Give USER:PASSWORD as the token, or in $MILVUS_TOKEN.")


def own_token(uri: str, *, named: bool = False) -> str | None:
    """``$MILVUS_TOKEN``, but only if the user named the address, just now (``named``) or as ``$MILVUS_URI``: one in an index file may be a stranger's."""
    return os.environ.get("MILVUS_TOKEN") if named or uri.rstrip("/") == os.environ.get("MILVUS_URI", "").rstrip("/") else None


def connected(uri: str, token: str | None) -> Any:
    """A ``MilvusClient`` with ``token``, or else ``own_token``; for Milvus Lite, the caller has to call ``release`` when done.

    Raises:
        UserError: pymilvus is not installed; the Milvus does not answer; another process has the Milvus Lite open.
    """
    try:
        from pymilvus import MilvusClient
        from pymilvus.exceptions import MilvusException
    except ImportError:
        raise _missing("pymilvus") from None
    except Exception as error:  # pymilvus reads $MILVUS_URI when it is imported
        raise UserError(f"pymilvus cannot be imported ({first_line(str(error))})", "Correct what it names; an address is such as http://localhost:19530.") from None
    import grpc

    # Both log every refusal with a traceback; here it becomes one line.
    for name in ("pymilvus", "milvus_lite"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if is_lite(uri):
        _start(uri)
    try:
        return MilvusClient(uri, token=token or own_token(uri) or "", timeout=CONNECT_SECONDS)
    except (MilvusException, grpc.RpcError) as error:
        if is_lite(uri):
            release(uri)
            raise UserError(f"the Milvus Lite in {uri} cannot be opened ({first_line(str(error))})", "Is it one, and whole?") from None
        hint = "Start it, or correct its uri; a local path that ends in .db needs no server."
        if _refused(error):
            hint = "Give USER:PASSWORD as --milvus_token, or as $MILVUS_TOKEN, which goes to no address but $MILVUS_URI: set that to this one where you trust it."
        raise UserError(f"there is no Milvus at {uri} ({first_line(getattr(error, 'message', str(error)))})", hint) from None


def _refused(error: Exception) -> bool:
    return any(word in str(error).lower() for word in ("unauthenticated", "auth check", "permission"))


def _start(uri: str) -> None:
    """Opens the folder of a Milvus Lite for this process, once for all its clients, which are counted."""
    try:
        from milvus_lite.exceptions import DataDirLockedError
        from milvus_lite.server_manager import server_manager_instance as manager
    except ImportError:
        raise _missing("milvus-lite") from None
    folder = os.path.abspath(uri)
    with _lite_lock:
        if Path(folder).is_file():
            raise UserError(f"{uri} is a file of an older Milvus Lite", "Build the index anew under another uri.")
        try:
            Path(folder).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make the folder of {uri}: {error.strerror}", "Name another place for the Milvus Lite with --uri.") from None
        if not _open_lite[folder] and manager.start_and_get_uri(folder) is None:
            # The manager gives no reason; opening the folder once more tells it.
            raise UserError(f"the Milvus Lite in {uri} cannot be opened ({_why(folder, DataDirLockedError)})", "One process at a time can; a Milvus server (its uri: http://…) serves many.")
        _open_lite[folder] += 1


def _why(folder: str, locked: type[Exception]) -> str:
    from milvus_lite import MilvusLite

    try:
        MilvusLite(folder).close()
    except locked:
        return "another process has it open"
    except Exception as error:  # whatever it is, it is what the user has to know
        return first_line(str(error))
    return "it did not start"


def release(uri: str) -> None:
    """Gives up one use of a Milvus Lite; after the last one of this process, other processes can open its folder."""
    from milvus_lite.server_manager import server_manager_instance as manager

    folder = os.path.abspath(uri)
    with _lite_lock:
        _open_lite[folder] -= 1
        if _open_lite[folder] <= 0:
            del _open_lite[folder]
            manager.release_server(folder)


def _missing(name: str) -> UserError:
    return UserError(f"{name} is not installed", "Install it: pip install 'reid-srdl[search]'; the backend faiss needs none.")


def first_line(message: str) -> str:
    """The first line of a library's message, of 160 characters at most, to be quoted in ours."""
    return next((line.strip() for line in str(message).splitlines() if line.strip()), "no reason given")[:160]
