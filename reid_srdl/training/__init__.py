"""Training as plans of stages: what to do (``plans``), one loop for all (``engine``), carried out in a run folder (``run``)."""
