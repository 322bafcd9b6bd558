"""What a finished run recorded of itself: all files of its folder but the embeddings, and only the hashes of the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import diagnostics, files, runs
from ..errors import UserError
from ..evaluation import calibration
from ..evaluation.calibration import Calibration
from ..shell import command


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a run folder holds.

    Args:
        run: the folder.
        facts: ``run.json``.
        config: ``config.yaml`` as it stands, without defaults.
        logs: rows of ``log.csv`` of each stage, by its folder.
        verdicts: on the soft targets of each stage that has any, by its name.
        scores: ``metrics.json`` of each folder in ``eval/``, by its name.
        calibration: what ``calibrate`` found, if it was run.
        networks: hash of each network of the run to its description in words.
    """

    run: Path
    facts: Mapping[str, Any]
    config: Mapping[str, Any]
    logs: Mapping[str, Sequence[Mapping[str, float | None]]]
    verdicts: Mapping[str, str]
    scores: Mapping[str, Mapping[str, Any]]
    calibration: Calibration | None
    networks: Mapping[str, str]

    @property
    def classifies(self) -> bool:
        return runs.classifies(self.facts)

    @property
    def model(self) -> str | None:
        """Hash of the last network, where it is known."""
        return self.facts["stages"][-1].get("model")


def read(run: files.Pathlike) -> Recorded:
    """Reads a run folder. Raises ``UserError`` for a folder that is no run, a run that is not finished, or a damaged file."""
    import yaml

    run = Path(run)
    if not (run / runs.FACTS).is_file():
        raise UserError(f"{run} is no run folder", "A run folder holds run.json and stages/; the command train makes one.")
    facts = runs.read_facts(run)
    if not facts["finished"]:
        raise UserError(f"the run {run} is not finished, so there is no network to describe", f"Go on with it: {command('train', '--resume', run)}")
    stages = facts["stages"]
    noted = {stage["name"]: run / "stages" / stage["folder"] / diagnostics.FILE for stage in stages}
    path = run / runs.CONFIG
    with files.reading(path):
        config = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    verdicts = {}
    for name, file in noted.items():
        if file.is_file():
            with files.reading(file):
                verdicts[name] = files.read_json(file)["verdict"]
    return Recorded(
        run=run,
        facts=facts,
        config=config,
        logs={stage["folder"]: runs.read_log(run / "stages" / stage["folder"]) for stage in stages},
        verdicts=verdicts,
        scores={file.parent.name: files.read_json(file) for file in sorted((run / "eval").glob(f"*/{runs.METRICS}"))},
        calibration=calibration.of_run(run),
        networks=_networks(run, stages),
    )


def network_files(run: Path, stages: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
    """Where each network of a run is, by its hash: the stage folder or, for the other network of a stage that kept an average, its file in there."""
    found = {}
    for stage in stages:
        for path in (run / "stages" / stage["folder"] / name for name in (runs.LAST, runs.AVERAGED)):
            if path.is_file():
                found[runs.hash_in(path)] = path
    return found | {stage["model"]: run / "stages" / stage["folder"] for stage in stages if stage.get("model")}


def _networks(run: Path, stages: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    names = {stage["folder"]: f"the stage {stage['name']}" for stage in stages}
    return {model: names[path.name] if path.name in names else f"{path.name} of {names[path.parent.name]}" for model, path in network_files(run, stages).items()}
