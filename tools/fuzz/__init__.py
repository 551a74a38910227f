"""Readers given files that were changed at random: ``python -m tools.fuzz``."""
