from reid_srdl.report.details import stage_table


def stage(**facts):
    return {"stages": [{"name": "first", "epochs": 3, "seconds": 100.0, "images_per_s": 500.0, "final": {"accuracy": 0.5}, **facts}]}


def test_a_stage_that_waited_for_images_says_so():
    assert "Stage first waited for images 30% of the time: raise --data.workers" in stage_table(stage(waited=30.0))


def test_little_waiting_is_no_word_worth_and_older_runs_do_not_know():
    assert "waited" not in stage_table(stage(waited=4.0))
    assert "waited" not in stage_table(stage())
