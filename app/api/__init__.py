"""Thin routes: parse, call, answer."""
