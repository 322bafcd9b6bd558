"""Find out which distance means the same person, and keep it with the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional

import numpy as np

from .. import embeddings, files
from ..embeddings import Embeddings
from ..errors import UserError
from ..models.exported import InputOptions, input_words
from ..ranges import number
from ..shell import command
from . import of_run

if TYPE_CHECKING:
    from ..data.records import Split
    from ..runs import Trained


@dataclass(frozen=True)
class CalibrateOptions:
    """Turn distances into probabilities that two images show the same identity, and say how often a threshold errs.

    RUN is a run folder, or a file such as an exported one, which has a calibration of its own beside it.

    Args:
        split: ``val``, the people that the run held out (--data.holdout_identities), or ``test``; ``auto`` takes val where there is one.
        dataset: name of a reader; null means the run's own data set.
        data_root: folder of the data sets; null means where the run found them, ``$REID_DATA``, or else ``datasets``.
        metric: ``euclidean`` (squared) or ``cosine``, as the index has it that is searched; null means the run's own ``distance``.
        flip: average the embeddings of the image and its mirror, as was done for the index that is searched.
        across_cameras: only pairs from two cameras; null means so where there are several cameras.
        method: ``platt`` (a logistic curve), ``isotonic`` (any falling one), or ``auto``: what fits held-out people better.
        prior: share of genuine pairs among those that will be asked about; 0.5 where nothing is known.
        draws: bootstrap draws of identities behind the intervals.
        most_images: of larger sets so many are drawn, at least four of a person and of as many people as there is room for.
        seed: of all that is drawn.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        input: what an exported file from elsewhere takes.
    """

    split: Literal["auto", "val", "test"] = "auto"
    dataset: Optional[str] = None
    data_root: Optional[str] = None
    metric: Optional[Literal["euclidean", "cosine"]] = None
    flip: bool = False
    across_cameras: Optional[bool] = None
    method: Literal["auto", "platt", "isotonic"] = "auto"
    prior: float = 0.5
    draws: int = number(200, least=20)
    most_images: int = 2500
    seed: int = number(0, least=0)
    device: str = "auto"
    input: InputOptions = InputOptions()


def run(argv: list[str]) -> int:
    """``RUN`` and options."""
    checkpoint, options = of_run.parse(CalibrateOptions, argv, "calibrate")

    from .. import runs
    from ..evaluation import calibration
    from ..evaluation.verification import facts_of, pairs_of
    from ..progress import says, tracked

    calibration.check_prior(options.prior)
    trained = runs.load(checkpoint, options.device, input=options.input)
    path = trained.calibration_file
    files.check_writable(path, flag="")
    metric = options.metric or trained.distance
    images, dataset, split = _images(checkpoint, trained, options)
    says(f"{len(images):,} images of {dataset} ({split})")
    pairs = pairs_of(images, metric=metric, across_cameras=options.across_cameras, most_images=options.most_images, seed=options.seed)
    made = calibration.fit(
        pairs, model=trained.model_hash, metric=metric, flip=options.flip, method=options.method, prior=options.prior, seed=options.seed
    )
    says(f"{len(pairs):,} pairs; intervals by {options.draws} draws of identities")
    made.facts.update(facts_of(pairs, draws=options.draws, seed=options.seed, track=tracked("drawing identities")))
    made.facts.update(dataset=dataset, split=split, flip=options.flip, across_cameras=pairs.cameras is not None and bool((pairs.cameras[:, 0] != pairs.cameras[:, 1]).all()))
    made.save(path)
    _show(made, dataset, split)
    print(f"The calibration is in {path}; search and verify use it from now on.")
    print("Next, try two images:", command("verify", "A.jpg", "B.jpg", "--checkpoint", checkpoint, *input_words(options.input)))
    return 0


def _images(checkpoint: Path, trained: Trained, options: CalibrateOptions) -> tuple[Embeddings, str, str]:
    """Embeddings of the people, the name of their data set and of their split."""
    from ..data.records import ReIDData
    from ..progress import tracked
    from . import sets
    from .eval import default_output

    config = trained.config
    dataset = options.dataset or (config.dataset if config else None)
    if dataset is None:
        raise UserError(f"{checkpoint} names no data set", "Name one with --dataset.")
    own = sets.is_own(config, dataset)
    held_out = own and config.data.holdout_identities > 0
    split = ("val" if held_out else "test") if options.split == "auto" else options.split
    if split == "val" and not held_out:
        raise UserError(f"{checkpoint} held no identities out", "Train with --data.holdout_identities, or take --split test.")
    scored = default_output(checkpoint, trained, dataset, split, "-flip" if options.flip else "")
    try:
        root, data = sets.found_set(config, dataset, options.data_root)
    except UserError:
        # The run may have been copied to this machine without the images, but with the embeddings that eval kept.
        parts = _kept(scored, None, trained, options.flip) if options.data_root is None else None
        if parts is None:
            raise
        print(f"The images of {dataset} are not at hand: this is of what eval embedded of them, in {scored}.")
        return _together(parts), dataset, split
    if not isinstance(data, ReIDData):
        raise UserError(f"{dataset} is a classification set: its images show no identities", "Only re-identification runs are calibrated.")
    if split == "val":
        data = sets.held_out(data, config)
    chosen = (data.query, data.gallery) if split == "test" else (data.val_query, data.val_gallery)
    usual = options.data_root is None and not sets.elsewhere(config, dataset, root)  # another place may hold other images under the same names
    parts = _kept(scored, chosen, trained, options.flip) if usual else None
    if parts is None:
        parts = [trained.embeddings(part, flip=options.flip, track=tracked(f"embedding {part.name}")) for part in chosen]
    return _together(parts), dataset, split


def _kept(scored: Path, splits: Sequence[Split] | None, trained: Trained, flip: bool) -> Sequence[Embeddings] | None:
    """Query and gallery as eval embedded them; none where it kept none of this network, or their images, people or cameras are not those of ``splits``, where given."""
    paths = [scored / f"{part}.npz" for part in ("query", "gallery")]
    if not all(path.is_file() for path in paths):
        return None
    parts = embeddings.load_pair(paths)
    fits = all(part.model in trained.same_as and part.flip == flip for part in parts)
    fits &= splits is None or all(_lists(part, split.without_junk()) for part, split in zip(parts, splits, strict=True))
    return parts if fits else None


def _lists(part: Embeddings, split: Split) -> bool:
    return part.paths == split.paths and np.array_equal(part.labels, split.labels) and np.array_equal(part.cameras, split.cameras)


def _together(parts: Sequence[Embeddings]) -> Embeddings:
    """Query and gallery, which show the same people, as one set of images; an image that is in both counts once."""
    query, gallery = parts
    parts = [query, gallery.take(np.flatnonzero(~_known(gallery, query)))]
    columns = {}
    for name in ("labels", "cameras"):
        values = [getattr(part, name) for part in parts]
        columns[name] = None if any(value is None for value in values) else np.concatenate(values)
    return Embeddings(np.concatenate([part.vectors for part in parts]), None, columns["labels"], columns["cameras"], parts[0].model)


def _known(some: Embeddings, others: Embeddings) -> np.ndarray:
    """Which of some images are among the others: (almost) the same vector, label and, where known, camera. bool ``(N,)``.

    Vectors of a network that has learnt little have nearly all in common. So it counts how near they are beside what they do not have in common,
    their distance from the mean of all; and the camera, since calibration needs the pairs across cameras.
    """
    from scipy.spatial.distance import cdist

    names = ("labels", "cameras") if some.cameras is not None and others.cameras is not None else ("labels",)
    shown = np.column_stack([np.concatenate([getattr(part, name) for part in (some, others)]) for name in names])
    group, others_group = np.split(np.unique(shown, axis=0, return_inverse=True)[1].reshape(-1), [len(some)])
    found, mean = np.zeros(len(some), dtype=bool), np.concatenate([some.vectors, others.vectors]).mean(axis=0)
    for one in np.intersect1d(group, others_group):
        rows = np.flatnonzero(group == one)
        near = cdist(some.vectors[rows], others.vectors[others_group == one]).min(axis=1)
        found[rows] = near <= embeddings.SAME_IMAGE * np.linalg.norm(some.vectors[rows] - mean, axis=1)
    return found


def _show(made: Any, dataset: str, split: str) -> None:
    from rich.markup import escape
    from rich.table import Table

    from ..evaluation.calibration import NOTHING
    from ..progress import terminal
    from ..report.words import distance_word

    facts = made.facts
    table = Table(title=escape(f"Same identity or not, on {dataset} ({split})"), title_justify="left")
    for column in ("", "value", "95% interval"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("equal error rate", f"{facts['eer']:.2%}", f"{facts['eer_low']:.2%} to {facts['eer_high']:.2%}")
    for rate, found in facts["tpr_at_fpr"].items():
        row = ("too few pairs", "") if found is None else (f"{found['tpr']:.2%}", f"{found['low']:.2%} to {found['high']:.2%}")
        table.add_row(f"genuine accepted (TPR) at FPR {float(rate):.4g}", *row)
    for probability in (0.5, 0.9, 0.99):
        table.add_row(f"distance at probability {probability:g}", distance_word(made.threshold(probability)), "")
    terminal().print(table)
    pairs, own = facts["pairs"], " across cameras" if facts["across_cameras"] else ""
    print(f"{pairs['genuine']:,} genuine and {pairs['impostor']:,} impostor pairs{own} of {pairs['identities']:,} identities; {facts['method']}; probabilities at a prior of {made.prior:g}.")
    if made.tells_nothing:
        print(NOTHING)
    if split == "test":
        print("These are the people that scores are reported on: fit on held-out ones (train with --data.holdout_identities) where both are wanted.")

