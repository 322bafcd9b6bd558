import dataclasses

from reid_srdl.config import fields


def test_every_field_has_its_words():
    """``--help`` takes its lines from the docstrings."""
    for kind in vars(fields).values():
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            for one in dataclasses.fields(kind):
                assert f"{one.name}: " in kind.__doc__ or f"{one.name}, " in kind.__doc__, (kind, one.name)
