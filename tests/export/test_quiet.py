"""Nothing is heard inside, and all is as before afterwards."""

from __future__ import annotations

import logging
import warnings

import pytest

from reid_srdl.export.quiet import quiet


def test_talk_is_kept_inside_only(caplog, recwarn):
    logger = logging.getLogger("talkative")
    logger.setLevel(logging.INFO)
    with pytest.raises(ZeroDivisionError), quiet("talkative"):
        logger.warning("once upon a time")
        warnings.warn("it will be otherwise", stacklevel=1)
        logger.error("broken")
        1 / 0  # noqa: B018
    logger.info("afterwards")
    assert [record.message for record in caplog.records] == ["broken", "afterwards"] and not recwarn.list
