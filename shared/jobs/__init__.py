"""Asynchronous jobs: submitted, run by workers, polled, cancelled, and told about. docs/jobs.md is the map."""
