from reid_srdl import markdown


def test_what_is_in_a_cell_stays_in_it():
    assert markdown.row(["a", 1, "x|y", "1\n2"]) == "| a | 1 | x\\|y | 1 2 |"
