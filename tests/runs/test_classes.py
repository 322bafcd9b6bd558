import numpy as np
import pytest

from reid_srdl.errors import UserError
from reid_srdl.runs.classes import check_same_classes

LABELS = np.array([0, 1, 2])


def test_labels_must_be_the_same_and_names_where_both_have_them():
    for known, there in (((LABELS, "abc"), (LABELS, "abc")), ((LABELS, None), (LABELS, "abc")), ((LABELS, "abc"), (LABELS, None))):
        check_same_classes("it", known, "things", there, "Hint.")
    with pytest.raises(UserError, match=r"it knows 2 labels, which are not the 3 of things\. Hint\."):
        check_same_classes("it", (LABELS[:2], None), "things", (LABELS, None), "Hint.")
    with pytest.raises(UserError, match="it knows other classes than those of things: label 1 is x to it, and b there"):
        check_same_classes("it", (LABELS, "axy"), "things", (LABELS, "abc"), "Hint.")
