"""The recipes, one a file; each holds only what differs from the defaults of ``reid_srdl.config``."""
