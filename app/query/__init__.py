"""Questions out: spec → plan → SQL under the client's read role → rows → answer."""
