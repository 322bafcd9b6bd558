"""Where in two images their likeness comes from: Grad-CAM (Selvaraju et al. 2017) of the inner product of their embeddings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from .. import pictures, runs
from ..data.augment import clean, resized
from ..errors import UserError
from ..models import IdentityClassifier
from . import again
from .evaluated import Evaluated, how_ranked
from .html import missing, section
from .lists import MEANING, Choice, RankedList, file_of, ranked_lists, shot
from .recorded import network_files

PAIRS = 6
"""Queries that are shown, each with the nearest image: twelve images."""
_STRENGTH = 0.55  # opacity of the colours over the image
_HEIGHT = 192  # pixels to which smaller pictures are enlarged


class NoMap(Exception):
    """The backbone has no feature map with places of the image."""


def attention(network: IdentityClassifier, images: Tensor, toward: Tensor) -> Tensor:
    """For each place of the image, how much it adds to the inner product of its embedding with another one.

    The channels A_c of the last layer that has places are weighted by the mean gradient of the product S and summed, and what is below 0
    is cut off: ReLU(sum over c of mean(dS/dA_c) A_c). For a network that averages its map into the embedding, this splits the product
    into the shares of the places (Stylianou, Souvenir, Pless, "Visualizing Deep Similarity Networks", WACV 2019).

    Args:
        network: in eval mode.
        images: ``(B, 3, H, W)``, normalised.
        toward: ``(B, D)``, the embeddings that they are compared with; treated as constants.

    Returns:
        ``(B, h, w)``, of the size of that layer, between 0 and 1: the largest value of each map is 1 (or all are 0 where nothing adds to the product).

    Raises:
        NoMap: there is no such layer, as in a Vision Transformer, whose output is a token.
    """
    with torch.enable_grad(), _last_map(network.backbone) as seen:
        embedding = network.embed(images.detach().requires_grad_(True))
        if not seen:
            raise NoMap
        maps = seen[-1]
        (gradient,) = torch.autograd.grad((embedding * toward.detach()).sum(), maps)
    if maps.shape[-1] == network.dimension != maps.shape[1]:  # channels last, as in timm's Swin
        maps, gradient = maps.movedim(-1, 1), gradient.movedim(-1, 1)
    found = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).detach().float().relu()
    return found / found.amax((1, 2), keepdim=True).clamp_min(torch.finfo(found.dtype).tiny)


@contextlib.contextmanager
def _last_map(backbone: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the last output with places ``(B, C, h, w)`` while the backbone runs; a later output of tokens ``(B, N, C)`` empties the list."""
    seen: list[Tensor] = []

    def look(module: nn.Module, inputs: tuple, output: object) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        if output.ndim == 3:
            seen.clear()
        if output.ndim != 4 or output.shape[2] * output.shape[3] == 1 or not output.requires_grad:
            return None
        seen[:] = [output]
        return output.clone()  # the next layer may change its input in place

    hooks = [module.register_forward_hook(look) for module in backbone.modules()]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def overlaid(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """The image in grey under the colours of a map: uint8 RGB ``(H, W, 3)``, from an image of that kind and a map ``(h, w)`` of floats from 0 to 1."""
    heat = cv2.resize(heat, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_LINEAR)
    colours = cv2.applyColorMap((255 * heat).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)[..., None]
    return ((1 - _STRENGTH) * grey + _STRENGTH * colours).round().astype(np.uint8)


# --- its section -------------------------------------------------------------------------------------------------


def attention_section(run: Path, evaluated: Evaluated | None, chosen: Choice | None, roots: Sequence[Path], stages: Sequence[dict], anew: str) -> str:
    """The best and the worst queries with the nearest image of each, and where their likeness comes from; empty where nothing is ranked.

    Args:
        run: the run folder.
        evaluated: the evaluation whose lists are shown.
        chosen: the queries of the lists; none where there are no embeddings with paths.
        roots: folders of the data set.
        stages: those of ``run.json``.
        anew: the command that makes this page again, told where the images are.
    """
    if evaluated is None or evaluated.classifies or evaluated.ranked is None or chosen is None:
        return ""
    title = "Where likeness comes from"
    try:
        checkpoint = network_files(run, stages).get(evaluated.protocol.get("checkpoint"))
    except UserError as error:
        return section(title, missing(f"{error} Then", anew))
    if checkpoint is None:
        return section(title, missing("These embeddings are of another network than the run holds. Its own come from", again.scoring(run, evaluated)))
    query, gallery, result, _ = evaluated.ranked
    groups = {"The best": chosen.best[: PAIRS // 2], "The worst": chosen.worst[: PAIRS // 2]}
    how = how_ranked(evaluated.protocol)
    try:
        lists = {name: ranked_lists(query, gallery, result, rows, depth=1, **how) for name, rows in groups.items() if rows}
        trained = runs.load(checkpoint, "cpu")
    except UserError as error:
        return section(title, missing(f"{error} Then", anew))
    files = {path: file_of(path, roots) for shown in lists.values() for one in shown for path in (one.path, *(item.path for item in one.found))}
    if not all(files.values()):
        return section(title, missing("This needs the images, and they are not where they were. Say where the data set is:", anew))
    try:
        parts = [f'<h3>{name}</h3>\n<ul class="pairs">{"".join(_pair(trained, one, files) for one in shown if one.found)}</ul>' for name, shown in lists.items()]
    except NoMap:
        said = f"The backbone {trained.model.backbone} ends without a map of places (a Vision Transformer answers by a token), so there is nothing to trace back to the image here."
        return section(title, f'<p class="note">{said}</p>')
    except UserError as error:
        return section(title, missing(f"{error} Then", anew))
    return section(title, f'<p class="note">{_ABOUT}</p>', *parts)


_ABOUT = (
    "Each query beside the image that was nearest to it, and where the inner product of the two embeddings comes from (Grad-CAM on the last map of the backbone, in each image toward the other): "
    "bright is much, and each picture is as bright as its own largest value. Coarse by nature: a map has few places. It shows what the network used, and not whether it was right to."
)


def _pair(trained: runs.Trained, shown: RankedList, files: dict[str, Path | None]) -> str:
    hit = shown.found[0]
    images = trained.source([files[shown.path], files[hit.path]]).batch(range(2))
    seen = clean(images, trained.size)
    with torch.no_grad():
        embeddings = trained.network.embed(seen)
    heat = attention(trained.network, seen, embeddings.flip(0)).numpy()
    bare = resized(images, trained.size).permute(0, 2, 3, 1).numpy()
    cells = []
    for number, (path, what) in enumerate(((shown.path, "query"), (hit.path, "nearest"))):
        for image, meaning in ((bare[number], what), (overlaid(bare[number], heat[number]), f"where likeness comes from, {what}")):
            cells.append(shot(_jpeg(image), path, meaning))
    told = f"Map of {heat.shape[1]} × {heat.shape[2]} places. AP {100 * shown.ap:.1f} %; the nearest image shows {MEANING[hit.frame]}"
    return f'<li class="{hit.frame}"><span class="two">{cells[0]}{cells[1]}</span><span class="two hit">{cells[2]}{cells[3]}</span><span class="caption">{told}</span></li>'


def _jpeg(image: np.ndarray) -> bytes:
    height, width = image.shape[:2]
    if height < _HEIGHT:
        image = cv2.resize(image, (max(1, round(width * _HEIGHT / height)), _HEIGHT), interpolation=cv2.INTER_CUBIC)
    return pictures.encode(image, "jpg", quality=85)
