"""What one request may cost."""

import dataclasses

import pytest

from reid_srdl.errors import UserError
from reid_srdl.retrieval.serve.limits import Limits


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Limits)])
def test_a_limit_that_lets_nothing_through_is_refused(name):
    Limits().check()
    Limits(waiting=0).check()  # whoever does not come at once comes again
    with pytest.raises(UserError, match=f"{name} is -1"):
        dataclasses.replace(Limits(), **{name: -1}).check()
