"""Who may write into a run folder."""

from __future__ import annotations

import pytest

from reid_srdl.errors import UserError
from reid_srdl.training.folder import claimed


def test_a_claimed_folder_is_refused_to_others(tmp_path):
    with claimed(tmp_path), pytest.raises(UserError, match="another process"), claimed(tmp_path):
        pass
    with claimed(tmp_path):
        pass
