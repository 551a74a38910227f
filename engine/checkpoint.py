"""``inpainting.checkpoint`` under the name it has had."""


def __getattr__(name: str):
    from inpainting import checkpoint

    return getattr(checkpoint, name)
