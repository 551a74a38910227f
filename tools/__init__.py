"""Work beside training and inpainting, each run as ``python -m tools.NAME``."""
