"""Which epoch is handed on where the best one is."""

from reid_srdl.training.kept import chosen


def test_the_first_of_the_highest_by_map_where_there_is_one():
    rows = [{"val_mAP": value, "val_top1": 1 - value} for value in (0.1, 0.5, 0.5, 0.2)]
    assert chosen(rows) == (1, "val_mAP")
    assert chosen([{"val_mAP": None, "val_top1": None}, {"val_mAP": None, "val_top1": 0.3}]) == (1, "val_top1")
    assert chosen([]) is None and chosen([{"val_mAP": None}]) is None
