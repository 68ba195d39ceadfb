"""Benchmarks: what ingest achieves as a share of what this machine and this Postgres can do at all."""
