"""Make a run folder of a checkpoint of torchreid or fast-reid, so that all other commands take it."""

from __future__ import annotations

import dataclasses
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Optional

from .. import config as configuration
from .. import files
from ..config import MOST_PIXELS, ModelConfig
from ..data import CLASS_READERS, part_names, reader
from ..errors import UserError
from ..ranges import number
from ..shell import command
from .options import require

if TYPE_CHECKING:
    from ..models import IdentityClassifier
    from ..models.adopting import Foreign

USAGE = """usage: adopt FILE.pth --backbone NAME --dataset NAME [--output RUN]

adopt --help lists the options."""
STAGE = "adopted"


@dataclass(frozen=True)
class AdoptOptions:
    """Make a run folder of a checkpoint of torchreid or fast-reid.

    Args:
        backbone: the network: ``torchreid:osnet_x1_0``, of fast-reid ``fastreid:resnet50``.
        dataset: what it was trained on; it is scored on that unless told otherwise.
        data_root: folder of the data sets; null means ``$REID_DATA``, or else ``datasets``.
        output: the run folder; null means ``runs/adopted-FILE``.
        height: height in pixels of its images.
        width: width in pixels.
        pooling: ``avg``, ``gem`` or ``max`` where the file does not show it; null means ``gem`` where it holds a learnt power, else ``avg``.
        last_stride: of a ResNet's last stage, which no file shows; null means the toolkit's usual (fast-reid's is 1).
    """

    backbone: Optional[str] = None
    dataset: Optional[str] = None
    data_root: Optional[str] = None
    output: Optional[str] = None
    height: int = number(256, above=0, most=MOST_PIXELS)
    width: int = number(128, above=0, most=MOST_PIXELS)
    pooling: Optional[Literal["avg", "gem", "max"]] = None
    last_stride: Optional[Literal[1, 2]] = None


def run(argv: list[str]) -> int:
    """``FILE`` and its options."""
    if not argv:
        print(USAGE)
        return 2
    named = not argv[0].startswith("-")
    options = configuration.parse(AdoptOptions, argv[named:], prog="adopt FILE")
    example = f"For instance: {command('adopt', 'FILE.pth', '--backbone', 'torchreid:osnet_x1_0', '--dataset', 'market1501')}"
    if not named:
        raise UserError("adopt needs the checkpoint first", example)
    require(options, ("backbone", "dataset"), "adopt", f"The file does not say it. {example}")
    reader(options.dataset)
    if set(part_names(options.dataset)) & CLASS_READERS.keys():
        raise UserError(f"{options.dataset} is a set of classes, and such networks tell people or vehicles apart", "Name the set that it was trained on, such as market1501.")
    file = files.expanded(argv[0])
    folder = Path(options.output or f"runs/adopted-{file.name.partition('.')[0]}")
    if folder.resolve() == Path.cwd():
        raise UserError(f"{folder} is the folder that you are in", "Name a new one with --output.")
    _refuse_other_files(folder)

    from ..models import adopting
    from ..progress import says

    if not file.is_file():
        raise UserError(f"there is no file {file}", "Name the checkpoint that torchreid or fast-reid wrote.")
    foreign = adopting.read(file)
    _refuse_other_normalisation(foreign)
    model = adopting.model_of(foreign, options.backbone, pooling=options.pooling, last_stride=options.last_stride)
    try:
        network = adopting.adopt(foreign, model, (options.height, options.width))
    except UserError as error:  # its hint names the options of training
        raise UserError(error.message, error.hint.replace("--model.", "--").replace("--data.", "--")) from error
    says(str(network.weights_report))
    config = {
        "dataset": options.dataset,
        "data_root": os.path.abspath(configuration.data_root(options.data_root)),
        "output": str(folder),
        "precision": "fp32",
        "distance": adopting.TOOLKITS[foreign.toolkit].distance,
        "data": {"height": options.height, "width": options.width},
        "model": dataclasses.asdict(model),
    }
    _write(folder, foreign, network, model, config)
    print(f"The run is in {folder}: a {model.backbone} of {foreign.toolkit} that tells {foreign.identities:,} identities apart.")
    print("Next, score it:", command("eval", "--checkpoint", folder))
    return 0


def _refuse_other_files(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already", "Choose another folder with --output.")


def _refuse_other_normalisation(foreign: Foreign) -> None:
    from ..config import MEAN, STD

    for theirs, ours, what in ((foreign.mean, MEAN, "mean"), (foreign.std, STD, "deviation")):
        if theirs is not None and len(theirs) != len(ours):
            raise UserError(f"{foreign.file} takes images of {len(theirs)} channels", "Networks here see three, red, green and blue.")
        if theirs is not None and any(abs(one - other) > 1e-3 for one, other in zip(theirs, ours, strict=True)):
            raise UserError(
                f"{foreign.file} normalises images by the {what} {theirs}, and here it is ImageNet's {tuple(ours)}", "Such a network cannot be adopted."
            )


def _write(folder: Path, foreign: Foreign, network: IdentityClassifier, model: ModelConfig, config: dict[str, Any]) -> None:
    """Writes the run folder, whole or not at all. Its configuration holds what is known, but no recipe."""
    import numpy as np
    import yaml

    from .. import runs

    made = files.in_the_making(folder)
    stage = runs.stage_folder(made, 0, STAGE)
    # The file does not say which identity each class is, so they are numbered in its order.
    labels = np.arange(1, foreign.identities + 1)
    size = config["data"]["height"], config["data"]["width"]
    try:
        stage.mkdir(parents=True)
        digest = runs.save_model(stage / runs.MODEL, network, model, size, labels)
        files.write_text(made / runs.CONFIG, yaml.safe_dump(config, sort_keys=False))
        files.write_json(made / runs.FACTS, _facts(foreign, config["dataset"], size, stage.name, digest))
        made.rename(folder)
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror}", "Choose another folder with --output.") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _facts(foreign: Foreign, dataset: str, size: tuple[int, int], stage: str, digest: str) -> dict[str, Any]:
    """``run.json``: what is known of a network that was trained elsewhere."""
    import time

    from .. import __version__
    from ..config import MEAN, STD

    return {
        "finished": True,
        "dataset": dataset,
        "identities": foreign.identities,
        "kind": "identities",
        "seed": 0,  # of what is drawn for a report
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": {"reid_srdl": __version__},
        "stages": [{"name": STAGE, "folder": stage, "epochs": 0, "model": digest}],
        "adopted": {
            "file": foreign.file.name,
            "sha256": files.sha256_file(foreign.file),
            "toolkit": foreign.toolkit,
            "tensors": len(foreign.state),
            "not_used": list(foreign.unused),
            "size": list(size),
            "mean": list(MEAN),
            "std": list(STD),
        },
    }
