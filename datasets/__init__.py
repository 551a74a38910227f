"""Pictures and masks: reading, writing, generating, augmenting, and the endless stream of training samples."""

from datasets.images import list_pictures, read_picture, write_picture
from datasets.mask_generator import generate_mask
from datasets.masks import read_mask, write_mask

__all__ = ["generate_mask", "list_pictures", "read_mask", "read_picture", "write_mask", "write_picture"]
