"""Adaptors: the sites from which a client collects by a tag."""
