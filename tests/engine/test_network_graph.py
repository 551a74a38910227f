"""The graph of a network: each layer once, fed by what feeds it, and nothing of the network changed."""

import json

import numpy as np
import paddle
import pytest
from visualdl.component.graph.netron_graph import Model

from engine.network_graph import network_graph
from models import MODELS, build_model
from tests.conftest import small_options

NETWORKS = [(name, {}) for name in sorted(MODELS)] + [("pconv_unet", {"prior": "smooth", "norm": "none"})]


def graph_of(name, **options):
    model = build_model(name, **small_options(name, **options))
    return model, network_graph(model, 32)


def leaves_of(graph):
    return {node["name"]: node for node in graph["nodes"] if node["is_leaf_node"]}


@pytest.mark.parametrize(("name", "options"), NETWORKS)
def test_each_layer_that_learns_is_there_once_and_between_picture_and_output(name, options):
    model, graph = graph_of(name, **options)
    leaves, shapes = leaves_of(graph), {var["name"]: var["shape"] for var in graph["vars"]}
    learning = ["/" + path.replace(".", "/") for path, layer in model.named_sublayers() if layer.parameters(False)]
    assert learning and set(learning) <= set(leaves)
    reached = {"image", "mask"}
    for path in (path for path in leaves if path not in ("/image", "/mask", "/output")):  # in the order they ran
        takes = set(leaves[path]["input_vars"]["x"])
        assert takes and takes <= reached and "".join(leaves[path]["attrs"]).count("weight") == (path in learning)
        reached |= set(leaves[path]["output_vars"]["out"])
    assert reached == set(shapes)
    [last] = [name for name in leaves["/output"]["input_vars"]["x"] if name not in ("image", "mask")]
    assert shapes[last] == [1, 3, 32, 32] and last.startswith(learning[-1])


def test_skips_and_masks_go_where_they_go():
    _, graph = graph_of("pconv_unet", depth=2)
    takes = {path: node["input_vars"]["x"] for path, node in leaves_of(graph).items()}
    assert takes["/encoder/0/conv"] == ["image", "mask"]
    assert takes["/encoder/1/norm"] == ["/encoder/1/conv:0"]
    skip, skip_mask = "/encoder/0/norm:0", "/encoder/0/conv:1"
    assert takes["/encoder/1/conv"] == [skip, skip_mask]
    assert takes["/decoder/0/conv"] == ["/encoder/1/norm:0", "/encoder/1/conv:1", skip, skip_mask]
    assert takes["/decoder/1/conv"] == ["/decoder/0/norm:0", "/decoder/0/conv:1", "image", "mask"]
    groups = {node["name"]: node for node in graph["nodes"] if not node["is_leaf_node"]}
    assert groups["/encoder"]["children_node"] == ["/encoder/0", "/encoder/1"]
    assert groups["/decoder/1"]["input_vars"]["x"] == takes["/decoder/1/conv"]
    assert groups["/encoder/0"]["output_vars"]["out"] == [skip, skip_mask]


@pytest.mark.parametrize("name", sorted(MODELS))
def test_the_network_is_as_it_was(name):
    model = build_model(name, **small_options(name))
    model.train()
    before = {key: value.numpy().copy() for key, value in model.state_dict().items()}
    network_graph(model, 32)
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key], err_msg=key)
    for layer in model.sublayers(include_self=True):
        assert not (layer._forward_pre_hooks or layer._forward_post_hooks or "forward_premasked" in layer.__dict__)


def test_a_layer_that_runs_twice_is_there_twice():
    class Twice(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.conv = paddle.nn.Conv2D(3, 3, 1)

        def forward(self, image, mask):
            return self.conv(self.conv(image) + 1)

    leaves = leaves_of(network_graph(Twice(), 8))
    assert leaves["/conv_2"]["input_vars"]["x"] == ["/conv:0"]
    assert leaves["/output"]["input_vars"]["x"] == ["/conv_2:0"]


def test_visualdl_takes_it_folded_and_unfolded():
    _, graph = graph_of("pconv_residual_unet")
    shown = Model(json.loads(json.dumps(graph)))
    assert [node.name for node in shown.make_graph().nodes] == ["/encoder", "/decoder"]
    unfolded = shown.make_graph(expand_all=True)
    assert len(unfolded.nodes) == len(leaves_of(graph)) - 3
    assert ([p.name for p in unfolded.inputs], len(unfolded.outputs)) == (["image", "mask"], 1)
