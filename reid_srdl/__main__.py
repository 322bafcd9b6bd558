"""``python -m reid_srdl`` is ``reid-srdl``."""

from .commands import main

main()
