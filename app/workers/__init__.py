"""Queued and scheduled work: the job queue, its tables, and what each kind of job does."""
