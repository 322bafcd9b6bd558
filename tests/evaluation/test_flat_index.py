import numpy as np
import pytest

from reid_srdl.evaluation import flat_index
from reid_srdl.evaluation.flat_index import FlatIndex, load_faiss


@pytest.fixture(autouse=True)
def _threshold():
    """What faiss waits for is the whole process's."""
    faiss = load_faiss()
    before = faiss.cvar.distance_compute_blas_threshold
    yield
    faiss.cvar.distance_compute_blas_threshold = before


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("queries", [1, 40])
def test_the_nearest_are_those_of_the_definition_one_by_one_and_by_matrix_products(metric, queries):
    rng = np.random.default_rng(0)
    vectors, wanted = rng.standard_normal((300, 64), dtype=np.float32), rng.standard_normal((queries, 64), dtype=np.float32)
    distances, positions = FlatIndex(vectors, metric).search(wanted, 7)
    if metric == "euclidean":
        true = ((wanted[:, None].astype(np.float64) - vectors[None]) ** 2).sum(axis=2)
    else:
        true = 1 - wanted.astype(np.float64) @ vectors.T / np.linalg.norm(wanted, axis=1)[:, None] / np.linalg.norm(vectors, axis=1)
    np.testing.assert_array_equal(positions, np.argsort(true, axis=1)[:, :7])
    np.testing.assert_allclose(distances, np.sort(true, axis=1)[:, :7], rtol=1e-4, atol=1e-5)


def test_a_faiss_that_waits_too_long_for_matrix_products_is_told_not_to():
    faiss = load_faiss()
    faiss.cvar.distance_compute_blas_threshold = flat_index._SLOW_FROM
    assert load_faiss().cvar.distance_compute_blas_threshold == 800 * faiss.omp_get_max_threads()
    faiss.cvar.distance_compute_blas_threshold = 20  # of another version, where it counts queries
    assert load_faiss().cvar.distance_compute_blas_threshold == 20
