"""Other projects' networks in PyTorch, written from their published tables of layers, and files of their weights.

``python -m tests.tools.port_networks FOLDER`` runs in an environment with PyTorch and without the project's code: for
each port it makes random weights by the port's names, saves them as the port does, and saves what comes out for the
inputs in FOLDER. Layers are functions over arrays by name, so that nothing is shared with the networks under test.
"""

import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

KERNELS = (7, 5, 5, 3, 3, 3, 3, 3)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SIGNED = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def widths_of(base, depth):
    return [3, *(base * min(2**i, 8) for i in range(depth))]


@dataclass
class Ports:
    """A U-Net of partial convolutions by a port's names.

    conv, norm: endings of a stage's convolution and normalisation.   by_sum: x / sum(M), else x · sum(1) / sum(M).
    biases: in which stages a convolution has one.   ones: ending of a filter that counts valid pixels.
    """

    down: str = "enc_{}"
    up: str = "dec_{}"
    norm: str = "bn"
    weight: str = "conv.weight"
    bias: str = "conv.bias"
    ones: str = ""
    by_sum: bool = False
    biases: str = "all"

    def stages(self, base, depth):
        """Name, input and output channels, kernel, number of each stage; the decoder's in the order they run."""
        w = widths_of(base, depth)
        down = [(self.down.format(i), w[i - 1], w[i], KERNELS[i - 1], i) for i in range(1, depth + 1)]
        up = [(self.up.format(i), w[i] + w[i - 1], w[i - 1], 3, i) for i in range(depth, 0, -1)]
        return down, up

    def state(self, base, depth):
        arrays = OrderedDict()
        for name, c_in, c_out, k, i in [stage for side in self.stages(base, depth) for stage in side]:
            n = c_in * k * k
            weight = torch.randn(c_out, c_in, k, k) * (0.3 if i == 1 and c_out == 3 else 1) / n**0.5
            arrays[f"{name}.{self.weight}"] = weight * (n if self.by_sum else 1)
            if self.biases == "all" or (self.biases == "ends" and i == 1) or (self.biases == "last" and c_out == 3):
                arrays[f"{name}.{self.bias}"] = 0.3 * torch.randn(c_out)
            if self.ones:
                arrays[f"{name}.{self.ones}"] = torch.ones(c_out, c_in, k, k)
            if i > 1:
                prefix = f"{name}.{self.norm}"
                arrays[f"{prefix}.weight"] = 0.8 * torch.rand(c_out) + 0.4
                arrays[f"{prefix}.bias"] = 0.3 * torch.randn(c_out)
                arrays[f"{prefix}.running_mean"] = 0.3 * torch.randn(c_out)
                arrays[f"{prefix}.running_var"] = torch.rand(c_out) + 0.7
                arrays[f"{prefix}.num_batches_tracked"] = torch.tensor(9)
        return arrays

    def partial(self, state, name, x, mask, stride, padding, i):
        """One stage up to its activation, with a mask as wide as the feature."""
        weight, bias = state[f"{name}.{self.weight}"], state.get(f"{name}.{self.bias}")
        total = F.conv2d(mask, torch.ones_like(weight), None, stride, padding)
        out = F.conv2d(x * mask, weight, None, stride, padding) / total.clamp(min=1)
        out = out * (1 if self.by_sum else weight[0].numel())
        valid = (total > 0).float()
        out = (out if bias is None else out + bias[:, None, None]) * valid
        if i > 1:
            parts = (state[f"{name}.{self.norm}.{p}"] for p in ("running_mean", "running_var", "weight", "bias"))
            out = F.batch_norm(out, *parts)
        return out, valid

    def run(self, state, base, depth, x, mask):
        """Pictures and masks [N, 3, H, W] in the port's range."""
        down, up = self.stages(base, depth)
        seen = []
        for name, _, _, k, i in down:
            seen.append((x, mask))
            x, mask = self.partial(state, name, x, mask, 2, k // 2, i)
            x = F.relu(x)
        for name, _, _, _, i in up:
            skip, skip_mask = seen.pop()
            x = torch.cat([F.interpolate(x, scale_factor=2), skip], 1)
            mask = torch.cat([F.interpolate(mask, scale_factor=2), skip_mask], 1)
            x, mask = self.partial(state, name, x, mask, 1, 1, i)
            x = x if i == 1 else F.leaky_relu(x, 0.2)
        return x


U_NETS = {
    "naoto": Ports(
        weight="conv.input_conv.weight",
        bias="conv.input_conv.bias",
        ones="conv.mask_conv.weight",
        by_sum=True,
        biases="last",
    ),
    "generator": Ports("encoder{}", "decoder{}.partial_conv", "norm", bias="bias", ones="mask_conv_weight"),
    "mmagic": Ports(
        "generator.encoder.enc{}", "generator.decoder.dec{}", ones="conv.weight_mask_updater", biases="ends"
    ),
    "nvidia": Ports(),
}
RANGES = {"naoto": IMAGENET, "generator": SIGNED, "mmagic": SIGNED, "nvidia": IMAGENET}
SIZES = {"naoto": (4, 7), "generator": (4, 5), "mmagic": (4, 7), "nvidia": (4, 4)}


def of_range(image, numbers, back=False):
    mean, std = (torch.tensor(n)[:, None, None] for n in numbers)
    return image * std + mean if back else (image - mean) / std


def save_u_net(folder, name, image, mask):
    net, (base, depth) = U_NETS[name], SIZES[name]
    state = net.state(base, depth)
    wide = mask.repeat(1, 3, 1, 1)
    order = [2, 1, 0] if name == "mmagic" else [0, 1, 2]
    x = of_range(image, RANGES[name])[:, order] * wide
    out = of_range(net.run(state, base, depth, x, wide)[:, order], RANGES[name], back=True)
    np.save(folder / f"{name}.npy", out.numpy())
    wrapped = {
        "naoto": {
            "n_iter": 7,
            "model": state,
            "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        },
        "generator": {"model": state},
        "mmagic": {
            "meta": {"config": "text", "iter": 7},
            "state_dict": state | {"loss_percep.vgg.0.weight": torch.ones(2)},
        },
        "nvidia": OrderedDict((f"module.{key}", array) for key, array in state.items()),
    }
    torch.save(wrapped.get(name, state), folder / f"{name}.pth", _use_new_zipfile_serialization=name != "generator")


def deepfill_layers(c):
    """DeepFillv1 of base width c: name, input and output channels, kernel, stride, dilation of each layer."""

    def down(prefix, w):
        names = ["conv1", "conv2_downsample", "conv3", "conv4_downsample", "conv5", "conv6"]
        return [
            (prefix + name, i, o, 5 if n == 0 else 3, 2 if "down" in name else 1, 1)
            for n, (name, i, o) in enumerate(zip(names, [5, *w[:-1]], w, strict=True))
        ]

    def atrous():
        return [(f"conv{7 + n}_atrous", 4 * c, 4 * c, 3, 1, 2 ** (n + 1)) for n in range(4)]

    def up(prefix, first):
        w = [first, 4 * c, 4 * c, 2 * c, 2 * c, c, c // 2, 3]
        return [(f"{prefix}conv{11 + n}", w[n], w[n + 1], 3, 1, 1) for n in range(7)]

    return {
        "coarse": down("", [c, 2 * c, 2 * c, 4 * c, 4 * c, 4 * c]) + atrous() + up("", 4 * c),
        "conv_encoder": down("", [c, c, 2 * c, 2 * c, 4 * c, 4 * c]) + atrous(),
        "attention_encoder": down("pm", [c, c, 2 * c, 4 * c, 4 * c, 4 * c]),
        "attention_decoder": [(f"pmconv{n}", 4 * c, 4 * c, 3, 1, 1) for n in (9, 10)],
        "fusion": up("all", 8 * c),
    }


def net_of(part):
    return "coarse_generator" if part == "coarse" else "fine_generator"


def deepfill_run(state, part, layers, x, relu_last=False):
    for n, (name, _, _, k, stride, dilation) in enumerate(layers):
        if part in ("coarse", "fusion") and name.removeprefix("all") in ("conv13", "conv15"):
            x = F.interpolate(x, scale_factor=2)
        prefix = f"{net_of(part)}.{name}.conv"
        x = F.conv2d(x, state[f"{prefix}.weight"], state[f"{prefix}.bias"], stride, k // 2 * dilation, dilation)
        last = n == len(layers) - 1
        if not (last and part in ("coarse", "fusion")):
            x = F.relu(x) if last and relu_last else F.elu(x)
    return x


def attention(feature, hole):
    """The port's, for one picture: patches as filters, scores added up along flat positions."""
    _, c, h, w = feature.shape
    raw = F.unfold(feature, 4, padding=1, stride=2)[0].T.reshape(-1, c, 4, 4)
    small, small_hole = feature[:, :, ::2, ::2], hole[:, :, ::8, ::8]
    h, w = small.shape[2:]
    patches = F.unfold(small, 3, padding=1)[0].T.reshape(-1, c, 3, 3)
    patches = patches / ((patches**2 + 1e-4).sum((1, 2, 3), keepdim=True)).sqrt()
    known = (F.unfold(small_hole, 3, padding=1)[0].sum(0) == 0).float()[:, None]
    scores = F.conv2d(small, patches, padding=1).reshape(h * w, h * w)
    eye = torch.eye(3)[None, None]
    for _ in range(2):
        scores = F.conv2d(scores[None, None], eye, padding=1)[0, 0]
        scores = scores.reshape(h, w, h, w).permute(1, 0, 3, 2).reshape(h * w, h * w)
        h, w = w, h
    weights = torch.softmax(scores * known * 10, 0) * known
    return F.conv_transpose2d(weights.reshape(1, h * w, h, w), raw, stride=2, padding=1) / 4


def save_deepfill(folder, image, mask):
    layers, state = deepfill_layers(4), OrderedDict()
    for part, rows in layers.items():
        for name, c_in, c_out, k, *_ in rows:
            prefix = f"{net_of(part)}.{name}.conv"
            state[f"{prefix}.weight"] = torch.randn(c_out, c_in, k, k) * (1.6 / (c_in * k * k)) ** 0.5
            state[f"{prefix}.bias"] = 0.1 * torch.randn(c_out)
    torch.save(state, folder / "deepfill.pt")
    out = []
    for picture, hole in zip(image[:, None] * 2 - 1, 1 - mask[:, None], strict=True):
        picture = picture * (1 - hole)
        marks = [torch.ones_like(hole), hole]
        coarse = deepfill_run(state, "coarse", layers["coarse"], torch.cat([picture, *marks], 1)).clamp(-1, 1)
        x = torch.cat([coarse * hole + picture * (1 - hole), *marks], 1)
        matched = deepfill_run(state, "attention_encoder", layers["attention_encoder"], x, relu_last=True)
        pasted = deepfill_run(state, "attention_decoder", layers["attention_decoder"], attention(matched, hole))
        x = torch.cat([deepfill_run(state, "conv_encoder", layers["conv_encoder"], x), pasted], 1)
        out.append((deepfill_run(state, "fusion", layers["fusion"], x).clamp(-1, 1) + 1) / 2)
    np.save(folder / "deepfill.npy", torch.cat(out).numpy())


def main(folder):
    torch.manual_seed(0)
    inputs = np.load(folder / "inputs.npz")
    image, mask = (torch.from_numpy(inputs[name]) for name in ("image", "mask"))
    with torch.no_grad():
        for name in U_NETS:
            save_u_net(folder, name, image, mask)
        save_deepfill(folder, image, mask)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
