"""Where else the figures of ``log.csv`` are sent: TensorBoard, Weights & Biases."""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning_fabric.loggers import Logger

from .. import files
from ..config import Config
from ..errors import UserError, first_line


def of(config: Config, folder: Path) -> list[Logger]:
    """The loggers that a run asks for; nothing is written yet.

    Raises:
        UserError: one of them is not installed.
    """
    made: list[Logger] = []
    if config.log.tensorboard:
        from lightning_fabric.loggers import TensorBoardLogger

        made.append(TensorBoardLogger(root_dir=str(folder), name="tensorboard", version=""))
    if config.log.wandb:
        made.append(WandbLogger(folder, dataclasses.asdict(config)))
    return made


def start(loggers: Iterable[Logger]) -> None:
    """Starts them before anything is trained, so that one that cannot start fails at once. Raises ``UserError`` as ``WandbLogger.start``."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.start()


def finish(loggers: Iterable[Logger], *, failed: bool) -> None:
    """Ends all of them, whether the run went through or not."""
    for logger in loggers:
        logger.finalize("failed" if failed else "success")


class WandbLogger(Logger):
    """Weights & Biases; its own environment variables set project, account and mode (``WANDB_MODE=offline``, ``WANDB_PROJECT``, ``WANDB_ENTITY``, …).

    A resumed run continues the same run there, whose id is kept in ``RUN/wandb/id.txt``.

    Args:
        folder: the run folder; files on this disk go into its ``wandb/``.
        config: the configuration that is shown beside the curves.

    Raises:
        UserError: it is not installed.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        try:
            import wandb
        except ImportError as error:
            raise UserError(f"Weights & Biases is not installed ({first_line(error)})", "Install it with: pip install 'reid-srdl[wandb]', or leave out --log.wandb.") from None
        self._library = wandb
        self.folder = folder
        self.config = config
        self._run: Any = None

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str | None:
        return None if self._run is None else self._run.id

    def start(self) -> None:
        """Starts the run there, or continues it.

        Raises:
            UserError: it cannot be started, for instance without an account.
        """
        kept = self.folder / "wandb"
        was_there = kept.exists()
        identity = (kept / "id.txt").read_text().strip() if (kept / "id.txt").is_file() else secrets.token_hex(6)
        try:
            self._run = self._library.init(
                project=os.environ.get("WANDB_PROJECT", "reid_srdl"), name=self.folder.resolve().name, id=identity, resume="allow",
                dir=str(self.folder), config=self.config,
            )  # fmt: skip
        except self._library.Error as error:
            if not was_there:
                shutil.rmtree(kept, ignore_errors=True)
            raise UserError(
                f"Weights & Biases does not begin: {' '.join(str(error).split())}", "Log in with: wandb login, or set WANDB_MODE=offline, which needs no account."
            ) from None
        files.write_text(kept / "id.txt", identity + "\n")

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Figures of one epoch; ``step`` counts epochs over all stages."""
        if self._run is not None:
            self._run.log(metrics, step=step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Does nothing: ``start`` has sent all of them."""

    def finalize(self, status: str) -> None:
        if self._run is not None:
            self._run.finish(exit_code=0 if status == "success" else 1)
            self._run = None
