"""Experiments as data: a study is arms, seeds and a tuned rate; what its runs found is kept, and the tables are written from that."""
