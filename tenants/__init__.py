"""Who the clients are and where their data lives; depends on nothing else of Grove."""
