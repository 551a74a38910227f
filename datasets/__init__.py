"""Pictures and masks: reading, writing, generating, augmenting, and the endless stream of training samples."""

import importlib

from datasets.images import (
    SAMPLE_PHOTOS,
    list_pictures,
    read_picture,
    sample_photo,
    to_float,
    to_uint8,
    write_picture,
)
from datasets.mask_generator import generate_mask
from datasets.masks import (
    BUCKET_NAMES,
    BUCKETS,
    border_kind,
    bucket_name,
    bucket_of,
    emptiness_warning,
    hole_ratio,
    polarity_warning,
    read_mask,
    resize_mask,
    write_mask,
)
from datasets.transforms import augment_mask, center_resize

__all__ = [
    "BUCKETS",
    "BUCKET_NAMES",
    "SAMPLE_PHOTOS",
    "GeneratedMasks",
    "InpaintingDataset",
    "MaskFolder",
    "PictureFolder",
    "SamplePhotos",
    "StreamBatchSampler",
    "augment_mask",
    "border_kind",
    "bucket_name",
    "bucket_of",
    "center_resize",
    "emptiness_warning",
    "generate_mask",
    "hole_ratio",
    "list_pictures",
    "polarity_warning",
    "read_mask",
    "read_picture",
    "resize_mask",
    "sample_photo",
    "to_float",
    "to_uint8",
    "write_mask",
    "write_picture",
]


def __getattr__(name: str):
    # Only the training stream needs Paddle, whose import takes seconds: leave it out of tools that write masks.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("datasets.inpainting"), name)
