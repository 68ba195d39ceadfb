"""The sites of two of the demo's clients, a shop and a portfolio, which collect by nothing but their tags."""
