"""What the server does, without the web; over both backends."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest

from reid_srdl import retrieval, runs
from reid_srdl.embeddings import Embeddings
from reid_srdl.errors import UserError
from reid_srdl.evaluation.calibration import Calibration
from reid_srdl.evaluation.rerank import PAPER
from reid_srdl.retrieval import faiss_index, search
from reid_srdl.retrieval.search import Wanted
from reid_srdl.retrieval.serve.refused import Refused
from reid_srdl.retrieval.serve.service import Question, Service

from .conftest import KNOTS


def refused(service: Service, question: Question) -> Refused:
    with pytest.raises(Refused) as found:
        service.search(question)
    return found.value


def test_an_upload_is_answered_as_the_command_answers_the_file(backend, service, trained, people, index, run):
    for file in people.query.files[:3]:
        wanted = Wanted(6, cameras=(1, 3))
        answer = service.search(Question(file.read_bytes(), wanted=wanted))
        calibration, _ = search.calibration_for(index, trained, flip=False)
        found = search.find(index, trained.embed([file]), wanted, calibration)
        expected = [{**hit, "picture": f"/image/{hit['id']}"} for hit in search.as_records(found, 0, index)]
        assert answer["hits"] == expected and len(expected) == 6 and {hit["camera"] for hit in expected} == {1, 3}
        assert answer["query"] is None and answer["prior"] == 0.5 and answer["model"] == trained.model_hash
        np.testing.assert_array_equal(service.embed(file.read_bytes()), trained.embed([file])[0])


def test_a_hit_is_the_next_query_and_does_not_find_itself(backend, service, gallery, index):
    first = service.search(Question(path=gallery.paths[5], wanted=Wanted(7)))
    far = ((gallery.vectors.astype(np.float64) - gallery.vectors[5]) ** 2).sum(axis=1)
    expected = [gallery.paths[row] for row in np.argsort(far, kind="stable") if row != 5][:7]
    assert [hit["path"] for hit in first["hits"]] == expected and [hit["rank"] for hit in first["hits"]] == [*range(1, 8)]
    assert first["query"]["path"] == gallery.paths[5] and first["query"]["camera"] == gallery.cameras[5] and first["query"]["picture"] == f"/image/{first['query']['id']}"
    again = service.search(Question(id=first["query"]["id"], wanted=Wanted(7)))
    assert again == first
    # of another camera it is not among the hits anyway, and none of them is lost
    other = 1 + gallery.cameras[5] % 3
    assert len(service.search(Question(path=gallery.paths[5], wanted=Wanted(3, cameras=(int(other),))))["hits"]) == 3


def test_expansion_and_reranking_are_those_of_the_command(service, trained, people, index):
    file = people.query.files[0]
    expanded = service.search(Question(file.read_bytes(), wanted=Wanted(5, expand=3)))
    found = search.find(index, trained.embed([file]), Wanted(5, expand=3))
    assert [hit["path"] for hit in expanded["hits"]] == found.hits.paths[0].tolist()
    assert expanded["prior"] is None and "expanded queries" in expanded["why_no_probability"] and expanded["hits"][0]["probability"] is None
    again = service.search(Question(file.read_bytes(), wanted=Wanted(5, rerank=PAPER, candidates=12)))
    found = search.find(index, trained.embed([file]), Wanted(5, rerank=PAPER, candidates=12))
    assert [hit["path"] for hit in again["hits"]] == found.hits.paths[0].tolist() and again["reranked"] and again["hits"][0]["reranked"] is not None


def test_probabilities_are_given_at_the_prior_that_is_asked_for(service, trained, index, run, people):
    data = people.query.files[0].read_bytes()
    usual, rare = (service.search(Question(data, prior=prior)) for prior in (None, 0.01))
    odds = [np.array([hit["probability"] / (1 - hit["probability"]) for hit in answer["hits"]]) for answer in (usual, rare)]
    np.testing.assert_allclose(odds[1], odds[0] / 99)
    assert (usual["prior"], rare["prior"]) == (0.5, 0.01)
    own = Service(index, trained, "run", service.served.pictures.root, prior=0.01)
    assert own.search(Question(data))["hits"] == rare["hits"] and own.health()["prior"] == 0.01
    with pytest.raises(UserError, match="a prior of 1.5"):
        Service(index, trained, "run", service.served.pictures.root, prior=1.5)


def test_two_images_are_compared_as_the_command_does(service, run, people, capsys):
    import json

    from reid_srdl.commands import verify

    for one, other in ((0, 1), (0, 8)):
        files = [people.query.files[row] for row in (one, other)]
        assert verify.run([*map(str, files), "--checkpoint", str(run), "--probability", "0.6", "--prior", "0.1", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        made = service.verify(*(file.read_bytes() for file in files), 0.6, 0.1)
        for name in ("distance", "probability"):
            assert made[name] == pytest.approx(told["pairs"][0][name], rel=1e-4)
        assert made["same"] == told["pairs"][0]["same"] and made["threshold"] == told["threshold"] and (made["prior"], made["at"]) == (0.1, 0.6)
    unsure = service.verify(files[0].read_bytes(), files[1].read_bytes(), 0.99999, 0.001)
    assert not unsure["same"] and unsure["threshold"] is None and unsure["probability"] <= unsure["most"] < 0.99999


def test_without_a_calibration_nothing_is_called_the_same(service, run, index, trained, people):
    data = people.query.files[0].read_bytes()
    (run / runs.CALIBRATION).unlink()
    with pytest.raises(Refused, match="has no calibration. Make one") as found:
        service.verify(data, data)
    assert found.value.status == 409
    (run / runs.CALIBRATION).write_text("{")
    with pytest.raises(Refused, match="calibration.json") as found:
        service.verify(data, data)
    assert found.value.status == 503, "whoever asks cannot help it"
    (run / runs.CALIBRATION).unlink()
    bare = Service(index, trained, "runs/a", service.served.pictures.root)
    answer = bare.search(Question(data))
    assert answer["prior"] is None and answer["hits"][0]["probability"] is None and "runs/a has no calibration" in answer["why_no_probability"]
    assert not bare.health()["calibrated"] and "runs/a has no calibration" in bare.health()["why_not"]


def test_a_calibration_that_is_made_meanwhile_is_taken_up(service, run, index, trained, people):
    data = people.query.files[0].read_bytes()
    kept = (run / runs.CALIBRATION).read_bytes()
    (run / runs.CALIBRATION).unlink()
    assert service.search(Question(data))["prior"] is None and not service.health()["calibrated"]
    (run / runs.CALIBRATION).write_bytes(kept)
    assert service.search(Question(data))["prior"] == 0.5
    Calibration(trained.model_hash, "euclidean", False, prior=0.02, facts={}, **KNOTS).save(run / runs.CALIBRATION)
    assert service.health()["prior"] == 0.02 and service.search(Question(data))["prior"] == 0.02
    (run / runs.CALIBRATION).write_text("{}")
    assert service.search(Question(data))["prior"] == 0.02, "what was there before still answers"
    health = service.health()
    assert health["status"] == "stale" and "no calibration that this version knows" in health["trouble"]


def test_a_calibration_with_flip_compares_with_flip(service, run, trained, people):
    files = people.query.files[:2]
    Calibration(trained.model_hash, "cosine", True, prior=0.5, facts={}, **KNOTS).save(run / runs.CALIBRATION)
    one, other = trained.embed(files, flip=True).astype(np.float64)
    cosine = 1 - one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert service.verify(*(file.read_bytes() for file in files))["distance"] == pytest.approx(cosine, abs=1e-6)


def test_what_is_asked_for_has_to_be_one_thing_and_there(backend, service, people, gallery, index):
    data = people.query.files[0].read_bytes()
    for nothing in (Question(), Question(data, id=3), Question(id=0, path=gallery.paths[0])):
        assert refused(service, nothing).status == 422
    assert refused(service, Question(path="nobody.jpg")).status == 404
    assert refused(service, Question(path="../../etc/passwd")).status == 404
    gone = service.search(Question(path=gallery.paths[0]))["query"]["id"]
    index.delete([gallery.paths[0]])
    assert refused(service, Question(id=gone)).status == 404 and refused(service, Question(id=2**62)).status == 404
    with pytest.raises(Refused) as found:
        service.picture(gone, 100)
    assert found.value.status == 404


def test_changes_of_other_processes_are_taken_up(backend, service, gallery, people, index, trained):
    if backend == "milvus":
        other = index  # a Milvus Lite is open in one process, and every search asks it
    else:
        other = retrieval.open_index(index.path)
    assert service.health()["images"] == 24
    other.delete(list(gallery.paths[:4]))
    assert service.health()["images"] == 20
    assert not {hit["path"] for hit in service.search(Question(people.query.files[0].read_bytes(), wanted=Wanted(50)))["hits"]} & set(gallery.paths[:4])
    other.add(Embeddings(gallery.vectors[:1] + 1e-3, paths=["new.png"], cameras=np.array([9]), model=trained.model_hash))
    assert service.health()["images"] == 21 and service.gallery(50, 0)["cameras"] == [1, 2, 3, 9]
    new = service.search(Question(path="new.png"))
    assert new["query"]["picture"] is None  # there is no such file


def test_who_asks_while_an_index_is_looked_at_is_answered_from_what_was_there(service, gallery, index, monkeypatch):
    """Be it more images, which are taken up then, or another network's, which are not."""
    for model in (gallery.model, "b" * 64):
        answered, before = [], len(service.served.index)
        retrieval.create_index(index.path, dataclasses.replace(gallery, vectors=gallery.vectors[:5], paths=gallery.paths[:5], labels=None, cameras=None, model=model), replace=True)
        with monkeypatch.context() as patched:
            patched.setattr(search, "check_network", lambda *given, real=search.check_network, answered=answered: answered.append(len(service.served.index)) or real(*given))
            service.refresh()
        assert answered == [before] and len(service.served.index) == 5


def test_an_index_of_another_network_is_not_taken_up_and_its_return_is_welcome(service, gallery, people, index):
    data = people.query.files[0].read_bytes()
    before, stranger = index.path.read_bytes(), dataclasses.replace(gallery, vectors=-gallery.vectors[:5], paths=gallery.paths[:5], labels=None, cameras=None, model="b" * 64)
    found = service.search(Question(data))["hits"]
    retrieval.create_index(index.path, stranger, replace=True)
    for _ in range(2):
        assert service.search(Question(data))["hits"] == found
    health = service.health()
    assert health["status"] == "stale" and "was built by the network bbbbbbbbbbbb" in health["trouble"] and health["images"] == 24
    index.path.write_bytes(before)
    assert service.search(Question(data))["hits"] == found and service.health()["status"] == "ok"


def test_an_index_that_is_gone_is_served_as_it_was_and_said(service, people, index):
    index.path.unlink()
    answer = service.search(Question(people.query.files[0].read_bytes()))
    assert len(answer["hits"]) == 20
    health = service.health()
    assert health["status"] == "stale" and "is gone" in health["trouble"] and health["images"] == 24


def test_an_index_that_may_not_be_read_is_served_as_it_was_and_said(service, people, index, monkeypatch):
    def refuses(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(faiss_index, "stamp_of", refuses)
    assert len(service.search(Question(people.query.files[0].read_bytes()))["hits"]) == 20
    health = service.health()
    assert health["status"] == "stale" and "cannot read" in health["trouble"] and "Permission denied" in health["trouble"]


def test_a_database_that_does_not_answer_is_no_fault_of_the_request(service, people, monkeypatch):
    def silent(*_):
        raise UserError("the Milvus does not answer", "Is it up?")

    monkeypatch.setattr(service.index, "search", silent)
    found = refused(service, Question(people.query.files[0].read_bytes()))
    assert found.status == 503 and found.headers["Retry-After"] and found.message == "the Milvus does not answer"


def test_a_file_that_is_gone_leaves_its_name(service, index, people, tmp_path):
    import shutil

    root = tmp_path / "photos"
    shutil.copytree(people.gallery.root / "gallery", root / "gallery")
    service = Service(index, service.trained, service.checkpoint, root)
    answer = service.search(Question(people.query.files[0].read_bytes()))
    first = answer["hits"][0]
    assert service.picture(first["id"], 64).startswith(b"\xff\xd8")
    Path(root / first["path"]).unlink()
    again = service.search(Question(people.query.files[0].read_bytes()))
    assert again["hits"][0] == {**first, "picture": None} and again["hits"][1:] == answer["hits"][1:]
    with pytest.raises(Refused, match="is gone or damaged") as found:
        service.picture(first["id"], 64)
    assert found.value.status == 404


def test_only_its_own_network_may_serve_an_index(index, trained, service):
    with pytest.raises(UserError, match="was built by the network"):
        Service(index, dataclasses.replace(trained, model_hash="c" * 64), "runs/other", service.served.pictures.root)


def test_many_ask_while_another_process_changes(service, people, gallery, index):
    data, stable = people.query.files[0].read_bytes(), gallery.take(np.arange(8, 24))
    other = retrieval.open_index(index.path)
    stop, failures = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            try:
                hits = service.search(Question(data, wanted=Wanted(50)))["hits"]
                if not set(stable.paths) <= {hit["path"] for hit in hits}:
                    failures.append(hits)
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        other.delete(list(gallery.paths[:8]))
        other.add(gallery.take(np.arange(8)))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures[:1]


def test_an_index_that_is_built_anew_between_two_steps_of_a_request_is_not_mixed_with_the_former(service, gallery, index, monkeypatch):
    """The image that was asked about is another one's neighbour in the new index, and has another number."""
    asked, real = gallery.paths[7], search.find
    before = service.search(Question(path=asked))
    turned = gallery.take(np.arange(len(gallery))[::-1])

    def meanwhile(*given):
        retrieval.create_index(index.path, turned, root=index.about.root, replace=True)
        service.refresh()
        return real(*given)

    monkeypatch.setattr(search, "find", meanwhile)
    assert service.search(Question(path=asked)) == before
    monkeypatch.undo()
    after = service.search(Question(path=asked))
    assert [hit["path"] for hit in after["hits"]] == [hit["path"] for hit in before["hits"]]
    assert {hit["id"] for hit in after["hits"]}.isdisjoint({hit["id"] for hit in before["hits"]}), "whoever still has an old number gets no other image"
    with pytest.raises(Refused, match="the index has no image"):
        service.picture(before["hits"][0]["id"], 64)


def test_pictures_are_those_of_the_folder_that_the_index_now_says(service, gallery, index, people, tmp_path):
    import shutil

    shutil.copytree(people.gallery.root / "gallery", tmp_path / "moved" / "gallery")
    (tmp_path / "moved" / gallery.paths[0]).unlink(missing_ok=True)
    for root, there in ((tmp_path / "moved", False), (tmp_path / "gone", False), (people.gallery.root, True)):
        retrieval.create_index(index.path, gallery, root=str(root), replace=True)
        assert (service.search(Question(path=gallery.paths[0]))["query"]["picture"] is not None) is there
    stays = Service(index, service.trained, service.checkpoint, tmp_path / "moved")
    retrieval.create_index(index.path, gallery, root=str(people.gallery.root), replace=True)
    assert stays.search(Question(path=gallery.paths[0]))["query"]["picture"] is None, "whoever named a folder meant it"
