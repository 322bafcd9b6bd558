"""The shapes of answers, which ``/openapi.json`` describes."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Problem(BaseModel):
    """The answer to every request that fails."""

    error: str = Field(description="what is wrong, in a line")
    hint: str = Field(description="the way out; perhaps empty")


class Known(BaseModel):
    """What the index knows of an image; null where it does not."""

    id: int = Field(description="of the image in this index, until it is built anew")
    path: str = Field(description="relative to the folder of the images")
    camera: int | None
    label: int | None = Field(description="the identity, as a number")
    name: str | None = Field(description="a word for the label")
    picture: str | None = Field(description="address of its picture on this server; null where its file is gone")


class Hit(Known):
    """An image that was found."""

    rank: int = Field(description="1 is the best")
    distance: float = Field(description="between the embeddings, by the metric of the index (see health)")
    probability: float | None = Field(description="of the same identity, at `prior`; null where nothing is calibrated for it")
    reranked: float | None = Field(description="the distance that re-ranking orders by, 0 to 1")


class Found(BaseModel):
    """The answer of a search."""

    query: Known | None = Field(description="the image of the index that was searched for; null for an upload")
    hits: list[Hit] = Field(description="best first; fewer than `top_k` where there are no more")
    prior: float | None = Field(description="share of genuine pairs that the probabilities are given at; null where there are none")
    why_no_probability: str | None
    reranked: bool
    model: str = Field(description="hash of the network that the index was built with")


class Vector(BaseModel):
    """An embedding."""

    vector: list[float]
    dimension: int
    model: str = Field(description="hash of the network: distances between two networks mean nothing")
    flip: bool = Field(description="whether it is averaged with that of the mirrored image")


class Compared(BaseModel):
    """Two images: whether they show the same identity, which is never proven by it."""

    same: bool = Field(description="whether the distance is within `threshold`")
    probability: float = Field(description="of the same identity, at `prior`")
    distance: float = Field(description="by `metric`")
    threshold: float | None = Field(description="the distance at which the probability is `at`; null where every distance is so sure, or none")
    most: float = Field(description="the highest probability that any distance has")
    at: float = Field(description="the probability from which on two images are called the same")
    prior: float
    metric: str = Field(description="euclidean (squared) or cosine")


class Gallery(BaseModel):
    """What there is to choose from."""

    cameras: list[int] = Field(description="that took images of the index")
    images: list[Known] = Field(description="some by chance, the same for the same seed")


class Health(BaseModel):
    """How the server is, and what it serves."""

    model_config = ConfigDict(protected_namespaces=())

    status: str = Field(description="`ok`; `stale` where the index is gone, or was built anew as one that this server cannot take up: it is served as it was, or not at all where that is gone, too")
    trouble: str | None
    index: str
    images: int = Field(description="in the index")
    backend: str
    exact: bool = Field(description="whether the nearest are found for certain")
    metric: str = Field(description="of distances in the index: euclidean (squared) or cosine (1 - cosine)")
    dimension: int
    model: str = Field(description="hash of the network")
    flip: bool
    calibrated: bool
    why_not: str | None = Field(description="why there are no probabilities")
    prior: float | None
    pictures: bool = Field(description="whether it knows where the images are")
    limits: dict[str, int] = Field(description="the largest values of a request; `body` in bytes")
    version: str
