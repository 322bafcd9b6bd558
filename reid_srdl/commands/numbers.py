"""Options that take several numbers, such as ``--input.size 256 128``."""

from __future__ import annotations

from collections.abc import Sequence

OF_INPUT = ("--input.size", "--input.mean", "--input.std")
"""Those of ``InputOptions``."""


def joined(argv: Sequence[str], names: Sequence[str] = OF_INPUT) -> list[str]:
    """``--size 256 128`` (or ``--size=256 128``) as ``--size=[256,128]``, the one word that a list is to the parser; what is one already stays."""
    argv = list(argv)
    for name in names:
        start = next((at for at, word in enumerate(argv) if word.partition("=")[0] == name), None)
        if start is None:
            continue
        # A negative number begins with one dash.
        stop = next((at for at in range(start + 1, len(argv)) if argv[at].startswith("--")), len(argv))
        words = [word for word in (argv[start].partition("=")[2], *argv[start + 1 : stop]) if word]
        whole = ",".join(word.strip(",") for word in words)
        argv[start:stop] = [f"{name}={whole if whole.startswith('[') else f'[{whole}]'}"]
    return argv
