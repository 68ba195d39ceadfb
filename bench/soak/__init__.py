"""A soak: a server under steady load for long, and whether anything of it grows, leaks, lags or gets lost."""
