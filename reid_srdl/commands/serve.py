"""Serve an index on a page and by a REST API: upload a person, see who of the gallery is most like them."""

from __future__ import annotations

import importlib.util
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from .. import config as configuration
from .. import devices, files, retrieval
from ..errors import UserError
from ..models.exported import InputOptions
from ..ranges import number
from .options import require

if TYPE_CHECKING:
    import socket

    from ..retrieval import Index
    from ..retrieval.serve.access import Access
    from ..retrieval.serve.limits import Limits
    from ..retrieval.serve.service import Service


@dataclass(frozen=True)
class ServeOptions:
    """Serve an index on a page and by a REST API.

    Args:
        index: that the command index built.
        checkpoint: the run (or file) whose network embedded the gallery.
        host: address to listen at; beyond this machine a token is asked for.
        port: 0 takes one that is free.
        token: that requests have to bring, 8 ASCII characters or more without spaces and & # %; null means ``$REID_TOKEN``, and where there is none, one is made for a host beyond this machine and for a proxy's names.
        names: host names under which a proxy passes requests on, as many as follow.
        images: folder that the paths of the index are relative to, where it has moved.
        flip: average the embeddings of an image and its mirror; null does as was done for the index, where it knows that.
        prior: share of genuine pairs that probabilities are given at; null means that of the calibration.
        max_mb: MiB of a request.
        top_k: hits that may be asked for at most.
        workers: requests that are computed at a time; null means 2 on a CPU of several cores, else 1.
        waiting: requests that may wait for that; further ones are told to come again.
        milvus_token: of a Milvus that asks for one; null means ``$MILVUS_TOKEN``, which goes to no address but ``$MILVUS_URI``: an index file may name a stranger's.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        input: what an exported file from elsewhere takes.
    """

    index: Optional[str] = None
    checkpoint: Optional[str] = None
    host: str = "127.0.0.1"
    port: int = 8000
    token: Optional[str] = None
    names: Optional[tuple[str, ...]] = None
    images: Optional[str] = None
    flip: Optional[bool] = None
    prior: Optional[float] = None
    max_mb: float = number(8.0, above=0, most=65_536)
    top_k: int = 200
    workers: Optional[int] = None
    waiting: int = 32
    milvus_token: Optional[str] = None
    device: str = "auto"
    input: InputOptions = InputOptions()


def run(argv: list[str]) -> int:
    """``--index INDEX --checkpoint RUN`` and options; 0 once a signal has ended it."""
    options = configuration.parse(ServeOptions, argv, prog="serve")
    require(options, ("index", "checkpoint"), "serve", "For instance: serve --index gallery.index --checkpoint runs/demo")
    missing = [name for name in ("fastapi", "uvicorn", "python_multipart") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"{missing[0].replace('_', '-')} is not installed", "Install it: pip install 'reid-srdl[serve]'")

    from ..retrieval.serve import running
    from ..retrieval.serve.access import access_for

    limits = _limits(options)
    access, made = access_for(options.host, options.token or os.environ.get("REID_TOKEN") or None, options.names or ())
    with running.listen(options.host, options.port) as listening:
        index = retrieval.open_index(str(options.index), token=options.milvus_token)
        try:
            service = _service(options, index)
            _serve(service, access, limits, listening, options.host, made)
        finally:
            index.close()
    running.leave()
    return 0


def _limits(options: ServeOptions) -> Limits:
    from ..retrieval.serve.limits import Limits

    cores = devices.set_threads(None)
    workers = options.workers if options.workers is not None else 2 if cores > 1 and devices.choose(options.device).type == "cpu" else 1
    limits = Limits(body=math.ceil(options.max_mb * 2**20), top_k=options.top_k, workers=workers, waiting=options.waiting)
    limits.check()
    return limits


def _service(options: ServeOptions, index: Index) -> Service:
    from .. import runs
    from ..retrieval.search import mirrored
    from ..retrieval.serve.service import Service

    images = files.expanded(options.images) if options.images else None
    trained = runs.load(str(options.checkpoint), options.device, input=options.input)
    return Service(index, trained, str(options.checkpoint), images, flip=mirrored(index, options.flip), prior=options.prior)


def _serve(service: Service, access: Access, limits: Limits, listening: socket.socket, host: str, made: bool) -> None:
    from ..retrieval.serve import running
    from ..retrieval.serve.app import make

    for line in _remarks(service):
        print(line)
    if access.hosts is None:
        print("What goes over the network is not encrypted, the token neither: put a proxy with TLS before it where the network is not yours.")
    where = running.address_of(listening, host)
    link = f"{where}/?token={access.token}" if made else f"{where}/?token=TOKEN (yours in place of TOKEN)" if access.token else f"{where}/"

    def ready() -> None:
        print(f"Open {link} (Ctrl-C ends it; {where}/docs is the REST API).", flush=True)

    running.run(make(service, access, limits), listening, limits.seconds, ready)
    print("Ended.", flush=True)


def _remarks(service: Service) -> list[str]:
    """Lines about the index, for whoever starts the server: its size, and what it lacks."""
    from ..retrieval import search

    index, pictures = service.index, service.served.pictures
    lines = [f"{index.path} holds {len(index):,} images ({index.backend})."]
    if pictures.root is None:
        lines.append("It does not know where the images are, so that names stand in place of pictures: name their folder with --images.")
    else:
        some = index.sample(20).paths
        gone = sum(pictures.file_of(path) is None for path in some)
        if gone:
            lines.append(f"{gone} of {len(some)} images that were looked for are not in {pictures.root}, or are links that lead out of it: names stand in their place.")
    other = search.other_distance(index, service.trained)
    if other:
        lines.append(other)
    if service.served.why_not:
        lines.append(f"No probabilities are shown: {service.served.why_not}.")
    if not index.model:
        lines.append(f"The index does not say which network made it: that {service.checkpoint} did is taken on trust.")
    return lines
