"""A twin of the network on a smooth prior in PyTorch, which trains several times faster on a CPU than Paddle does.

For development only: it needs ``requirements-twin.txt``, and what it learns is published as weights of the project.
"""
