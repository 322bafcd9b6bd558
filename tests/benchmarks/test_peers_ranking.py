import dataclasses

from benchmarks import peers_ranking
from benchmarks.memory import alone
from benchmarks.peers_ranking import Peer, Setup, differences, memory_by_size, memory_of, times

SMALL = Setup(queries=30, items=400, dimension=16, people=8, large=1200, large_dimension=8, share=6)


def test_everybody_comes_to_the_same_scores():
    seconds, figures = times(1, SMALL)
    assert {"rank", "product", "torchreid, Python", "argsort, row by row"} <= set(seconds)
    compared = [figure for figure in figures if "difference" in figure.what]
    assert len(compared) == len(seconds) - 2
    assert all(figure.holds for figure in compared)


def test_another_rule_is_seen():
    backwards = Peer(lambda distances, query, gallery: peers_ranking.argsort_loop(distances[:, ::-1], query, gallery))
    assert differences({"other": backwards}, SMALL)["other"] > 0.01


def test_a_share_of_the_rows_stands_for_all():
    walked = []

    def walk(distances, query, gallery):
        walked.append(len(distances))
        return None, 0.0

    query, gallery = peers_ranking.drawn(30, 400, 16, 8, 6)
    peers_ranking.timed(Peer(walk, slow=True), query, gallery, share=6)
    peers_ranking.timed(Peer(walk), query, gallery, share=6)
    assert walked == [6, 30]


def test_memory_is_measured_of_each():
    distances = 4 * 300 * 4000  # bytes; torchreid keeps all of them, and their order
    setup = dataclasses.replace(SMALL, queries=300, items=4000)
    assert alone(memory_of, "torchreid, Python", setup) > 2 * distances
    assert memory_by_size(100_000, setup) < 4 * 300 * 100_000
