"""The routes: how requests reach the service, and how its results become answers."""

# FastAPI reads annotations when routes are made, and some hold the limits of ``make``: so they must not be strings here.
import contextlib
import importlib.resources
from collections.abc import AsyncIterator
from typing import Annotated, Any

import torch
from fastapi import Depends, FastAPI, File, Form, HTTPException, Query, Request, UploadFile
from fastapi import Path as InPath
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import Field
from starlette.exceptions import HTTPException as AnyHTTPException

from ... import __version__
from ...errors import UserError
from ...evaluation.rerank import PAPER
from ..search import CANDIDATES, TOP_K, Wanted
from . import answers, reference
from .access import Access
from .guard import Guard
from .limits import Limits
from .named import only_known
from .pool import Pool
from .refused import Refused
from .service import Question, Service

_DESCRIPTION = (
    "Search for a person among the images of an index. An image is sent as a file of a form (multipart/form-data). Whatever fails is answered by "
    "`{\"error\": …, \"hint\": …}`; 503 means that the server is busy or its index does not answer, and `Retry-After` when to ask again. "
    "A near embedding is a hint and no proof of identity."
)
_PROBLEMS: dict[int | str, dict[str, Any]] = {status: {"model": answers.Problem} for status in (400, 401, 404, 413, 422, 503)}
_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_PICTURES_AHEAD = 512
"""Pictures that may wait for a thread: pages ask for dozens at once."""

_Id = Annotated[int, Field(ge=0, lt=2**63)]
_Camera = Annotated[int, Field(ge=-(2**63), lt=2**63)]
_Share = Annotated[float, Field(gt=0, lt=1)]


def make(service: Service, access: Access, limits: Limits) -> Guard:
    """The application (ASGI).

    Args:
        service: what answers.
        access: who is answered.
        limits: what a request may cost.
    """
    threads = max(1, torch.get_num_threads() // limits.workers)
    computing = Pool(limits.workers, limits.waiting, lambda: torch.set_num_threads(threads))
    drawing = Pool(2, _PICTURES_AHEAD)

    @contextlib.asynccontextmanager
    async def lives(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:  # also where a second Ctrl-C interrupts the line above
            computing.close()
            drawing.close()

    app = FastAPI(title="reid_srdl serve", version=__version__, description=_DESCRIPTION, docs_url=None, redoc_url=None, lifespan=lives, dependencies=[Depends(only_known)])
    _answer_problems(app)
    files = _static()

    def static_file(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return Response(files[name][0], media_type=files[name][1])

    Sent = Annotated[UploadFile | None, File(description="the query: a person, cut out")]
    Prior = Annotated[_Share | None, Form(description="share of genuine pairs that probabilities are given at; the server's where it is left out")]

    @app.post("/embed", response_model=answers.Vector, responses=_PROBLEMS)
    async def embed(image: Annotated[UploadFile, File(description="a person, cut out")]):
        """The embedding of an image."""
        vector = await computing.run(service.embed, await image.read())
        return {"vector": vector.tolist(), "dimension": len(vector), "model": service.trained.model_hash, "flip": service.flip}

    @app.post("/search", response_model=answers.Found, responses=_PROBLEMS)
    async def search(
        image: Sent = None,
        id: Annotated[_Id | None, Form(description="or an image of the index: a hit as the next query")] = None,
        path: Annotated[str | None, Form(max_length=65_535, description="the same by its path")] = None,
        top_k: Annotated[int, Form(ge=1, le=limits.top_k, description="hits")] = min(TOP_K, limits.top_k),
        camera: Annotated[list[_Camera] | None, Form(max_length=1000, description="only images of this camera; may come several times")] = None,
        expand: Annotated[int, Form(ge=0, le=limits.expand, description="average the query with so many of its nearest images first")] = 0,
        rerank: Annotated[bool, Form(description="order by k-reciprocal re-ranking (Zhong et al. 2017)")] = False,
        candidates: Annotated[int, Form(ge=1, le=limits.candidates, description="nearest images that are re-ranked")] = min(CANDIDATES, limits.candidates),
        prior: Prior = None,
    ):
        """The nearest images of the gallery to an upload, or to an image of the index."""
        wanted = Wanted(top_k, tuple(camera) if camera else None, expand, PAPER if rerank else None, candidates)
        question = Question(None if image is None else await image.read(), id, path, wanted, prior)
        return await computing.run(service.search, question)

    @app.post("/verify", response_model=answers.Compared, responses={**_PROBLEMS, 409: {"model": answers.Problem}})
    async def verify(
        a: Annotated[UploadFile, File(description="an image")],
        b: Annotated[UploadFile, File(description="another one")],
        probability: Annotated[_Share, Form(description="from which on they are called the same identity")] = 0.5,
        prior: Prior = None,
    ):
        """Do two images show the same identity? Needs a calibrated run."""
        return await computing.run(service.verify, await a.read(), await b.read(), probability, prior)

    @app.get("/health", response_model=answers.Health, responses=_PROBLEMS)
    async def health():
        """How the server is, and what it serves."""
        shown = {name: getattr(limits, name) for name in ("body", "top_k", "expand", "candidates", "sample")}
        return {**await drawing.run(service.health), "limits": shown, "version": __version__}

    @app.get("/gallery", response_model=answers.Gallery, responses=_PROBLEMS)
    async def gallery(count: Annotated[int, Query(ge=0, le=limits.sample)] = 12, seed: Annotated[int, Query(ge=0, lt=2**63)] = 0):
        """The cameras, and some images by chance to begin with."""
        return await drawing.run(service.gallery, count, seed)

    @app.get("/image/{id}", responses={**_PROBLEMS, 200: {"content": {"image/jpeg": {}}}}, response_class=Response)
    async def image(id: Annotated[int, InPath(ge=0, lt=2**63)], side: Annotated[int, Query(ge=16, le=1024, description="pixels of its longer side at most")] = 320):
        """A picture of an image of the index, made anew as a JPEG."""
        return Response(await drawing.run(service.picture, id, side), media_type="image/jpeg")

    @app.get("/", include_in_schema=False)
    async def page():
        return static_file("page.html")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request):
        return HTMLResponse(reference.page(app.openapi(), str(request.base_url), access.token is not None))

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str):
        return static_file(name)

    return Guard(app, access, limits)


def _static() -> dict[str, tuple[bytes, str]]:
    """The page's files by name, as content and type. They are read once, so that no request is ever turned into a path."""
    folder = importlib.resources.files(__package__).joinpath("static")
    kinds = ((file, _TYPES.get(f".{file.name.rpartition('.')[2]}")) for file in folder.iterdir())
    return {file.name: (file.read_bytes(), kind) for file, kind in kinds if kind is not None}


def _answer_problems(app: FastAPI) -> None:
    """Answers every error with JSON of one shape; what caused an unexpected one is in the server's log, not in the answer."""

    def answer(status: int, error: str, hint: str = "", headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"error": error, "hint": hint}, status, headers)

    @app.exception_handler(Refused)
    async def refused(_: Request, problem: Refused) -> JSONResponse:
        return answer(problem.status, problem.message, problem.hint, problem.headers)

    @app.exception_handler(UserError)
    async def bad(_: Request, problem: UserError) -> JSONResponse:
        return answer(400, problem.message, problem.hint)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, problem: RequestValidationError) -> JSONResponse:
        first = problem.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "request"
        return answer(422, f"{where}: {first['msg']}"[:300], "GET /docs says what it takes.")

    @app.exception_handler(AnyHTTPException)
    async def http(request: Request, problem: AnyHTTPException) -> JSONResponse:
        words = {404: f"there is no {request.url.path[:100]}", 405: f"{request.url.path[:100]} is not asked by {request.method}"}
        return answer(problem.status_code, words.get(problem.status_code, str(problem.detail)[:300]), "GET /docs says what there is.", dict(problem.headers or {}))

    @app.exception_handler(Exception)
    async def failed(_: Request, __: Exception) -> JSONResponse:
        return answer(500, "the server failed", "Its log says why.")


