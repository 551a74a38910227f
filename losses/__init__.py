"""Terms of the losses and the criteria made of them; they know nothing of options or logging."""

from .efficientnet import EfficientNetLite0Features
from .inpainting import PAPER_WEIGHTS, InpaintingLoss
from .vgg import VGG16Features

__all__ = ["PAPER_WEIGHTS", "EfficientNetLite0Features", "InpaintingLoss", "VGG16Features"]
