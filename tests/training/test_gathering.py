import torch
import torch.distributed
import torch.multiprocessing

from reid_srdl.training.gathering import gathered

COUNTS = (3, 2)


def rows():
    return torch.randn(sum(COUNTS), 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def loss(all_rows, labels):
    """Of every pair: what one process alone cannot compute of its share."""
    same = labels[:, None] == labels
    return (torch.cdist(all_rows, all_rows).tanh() * torch.where(same, 1.0, -1.0)).sum()


def one_rank(rank, file, results):
    torch.distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=len(COUNTS))
    start = sum(COUNTS[:rank])
    own = rows()[start : start + COUNTS[rank]].requires_grad_(True)
    labels = gathered((torch.arange(sum(COUNTS)) % 2)[start : start + COUNTS[rank]], COUNTS, rank)
    value = loss(gathered(own, COUNTS, rank), labels)
    value.backward()
    torch.save((value.item(), labels, own.grad), f"{results}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_see_one_loss_and_share_its_gradient(tmp_path):
    torch.multiprocessing.spawn(one_rank, (tmp_path / "meet", str(tmp_path)), nprocs=2)
    whole = rows().requires_grad_(True)
    labels = torch.arange(sum(COUNTS)) % 2
    value = loss(whole, labels)
    value.backward()
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    assert all(abs(one - value.item()) < 1e-12 and torch.equal(seen, labels) for one, seen, _ in found)
    assert torch.allclose(torch.cat([gradient for *_, gradient in found]), whole.grad, atol=1e-12)


def test_alone_nothing_is_copied():
    own = rows()
    assert gathered(own, (5,), 0) is own
