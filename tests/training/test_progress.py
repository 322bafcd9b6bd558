"""How far a stage is: what the first of two processes saves inside an epoch is of both."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing

from reid_srdl import models, ranks
from reid_srdl.config import Config, OptimiserConfig, PlanConfig
from reid_srdl.training import plans

from ..conftest import Silent, small_without_norm
from ..test_ranks import free_port
from .test_engine import run, trainer


def shared(rank=0, world=1):
    """A trainer of one epoch of two batches of 10, of which each process takes its share, in two parts."""
    made = trainer(plans.build(Config(plan=PlanConfig(name="vanilla", epochs=1), optimiser=OptimiserConfig(accumulate=2)))[0])
    made.loader.rank, made.loader.world = rank, world
    return made


def figures(rows):
    return [rows[0][name] for name in ("loss", "cross_entropy", "accuracy")]


def one_rank(rank, port, results):
    os.environ.update({"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
    torch.set_num_threads(1)
    models.BACKBONES["small_without_norm"] = small_without_norm
    ranks.join()
    made, path = shared(rank, 2), Path(results) / "state.pt"

    def save():  # as a run does: at the end of a step, by the first process, which tells nobody
        if rank == 0 and made.progress.step == 1:
            torch.save(made.state(), path)

    whole = list(made.epochs(Silent(), save=save, save_every=-1 if rank == 0 else 1e9))
    torch.distributed.barrier()
    again = shared(rank, 2)
    again.restore(torch.load(path))
    torch.save((figures(whole), figures(run(again, Silent()))), f"{results}/{rank}.pt")
    ranks.leave()


@pytest.mark.slow
def test_figures_after_a_resume_inside_an_epoch_are_those_of_the_whole_epoch(watch, tmp_path):
    """By as many processes, and by one."""
    torch.multiprocessing.spawn(one_rank, (free_port(), str(tmp_path)), nprocs=2)
    alone = figures(run(shared(), watch))
    resumed = shared()
    resumed.restore(torch.load(tmp_path / "state.pt"))
    for found in (*torch.load(tmp_path / "0.pt"), *torch.load(tmp_path / "1.pt"), figures(run(resumed, watch))):
        assert found == pytest.approx(alone, rel=1e-5)
