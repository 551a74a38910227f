"""A network's layers and what flows between them, in the form that VisualDL's page of graphs reads.

VisualDL's own way (``LogWriter.add_graph``) reads the static program of Paddle 2, a ``.pdmodel``: Paddle 3 writes none,
and cannot trace these networks into its older form. So one picture is sent through the network as it runs in training,
and what each layer takes and gives is written down; that is the same in all versions.

Where a layer takes what functions made of earlier layers' results (a sum, a concatenation, an activation), the record
that Paddle keeps for gradients tells of which. Masks have no gradient: one that a function changed on its way from one
layer to the next has no line in the graph, and neither has the smooth prior.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

import paddle
from paddle import nn

FORMAT_VERSION = "1.0.0"  # of VisualDL 2.4 to 2.5.3
OTHER_CALLS = ("forward_premasked",)  # methods that run a layer as ``forward`` does
ROOT = "/"


@dataclass(eq=False)
class _Call:
    """A layer that ran: its place in the network, and the names of what it took and gave."""

    path: str
    layer: nn.Layer
    takes: list[str] = field(default_factory=list)
    gives: list[str] = field(default_factory=list)
    is_leaf: bool = True  # no layer ran inside it


def network_graph(model: nn.Layer, size: int) -> dict:
    """What VisualDL shows of a network, by its run on one picture.

    The network is left in evaluation mode; weights and running statistics stay as they are.

    Args:
        model: takes image [1, 3, S, S] and mask [1, 1, S, S].
        size: S.
    Returns JSON's objects: nodes by path, layers inside layers, and the tensors between them.
    """
    model.eval()
    image, mask = (paddle.ones([1, channels, size, size]) for channels in (3, 1))
    image.stop_gradient = mask.stop_gradient = False
    record = _Record()
    image, mask = record.enter("image", image * 1), record.enter("mask", mask * 1)  # results, which a record is kept of
    with record.listening(model):
        output = model(image, mask)
    return _described(record, record.names_of([output]))


class _Record:
    """Which tensor came from where, while a network runs."""

    def __init__(self):
        self.calls: list[_Call] = []
        self.tensors: dict[str, paddle.Tensor] = {}  # all are kept: an id is that of a tensor as long as it lives
        self._name_of: dict[int, str] = {}
        self._name_of_step: dict[int, str] = {}
        self._running: list[_Call] = []

    def enter(self, name: str, tensor: paddle.Tensor) -> paddle.Tensor:
        self.tensors[name] = tensor
        self._name_of[id(tensor)] = name
        if (step := tensor.grad_fn) is not None:
            self._name_of_step[step.node_ptr()] = name  # a layer may give what it took
        return tensor

    def names_of(self, values: object) -> list[str]:
        """Of the tensors among ``values``, where each came from: earlier results, each once."""
        found = (self._known(tensor) for tensor in _tensors(values))
        return list(dict.fromkeys(name for names in found for name in names))

    def _known(self, tensor: paddle.Tensor) -> list[str]:
        """The tensor's name, or those of the results that functions made it from."""
        if name := self._name_of.get(id(tensor)):
            return [name]
        names, seen, steps = [], set(), [tensor.grad_fn]
        while steps:
            step = steps.pop()
            if step is None or step.node_ptr() in seen:
                continue
            seen.add(step.node_ptr())
            if name := self._name_of_step.get(step.node_ptr()):
                names.append(name)
            else:
                steps += step.next_functions
        return sorted(names)

    @contextlib.contextmanager
    def listening(self, model: nn.Layer) -> Iterator[None]:
        """Have each layer of the network told of when it runs."""
        hooks, replaced = [], []
        for path, layer in model.named_sublayers():
            path = ROOT + path.replace(".", "/")
            hooks.append(layer.register_forward_pre_hook(partial(self._begin, path)))
            hooks.append(layer.register_forward_post_hook(lambda layer, inputs, outputs: self._end(outputs)))
            for name in OTHER_CALLS:
                if hasattr(layer, name):
                    layer.__dict__[name] = self._told(path, layer, getattr(layer, name))
                    replaced.append((layer, name))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()
            for layer, name in replaced:
                del layer.__dict__[name]

    def _told(self, path: str, layer: nn.Layer, method: Callable) -> Callable:
        def call(*inputs):
            if any(running.layer is layer for running in self._running):  # by its own forward
                return method(*inputs)
            self._begin(path, layer, inputs)
            outputs = method(*inputs)
            self._end(outputs)
            return outputs

        return call

    def _begin(self, path: str, layer: nn.Layer, inputs: object) -> None:
        times = sum(call.layer is layer for call in self.calls)
        call = _Call(f"{path}_{times + 1}" if times else path, layer, self.names_of(inputs))
        for running in self._running:
            running.is_leaf = False
        self.calls.append(call)
        self._running.append(call)

    def _end(self, outputs: object) -> None:
        call = self._running.pop()
        if call.is_leaf:
            for number, tensor in enumerate(_tensors(outputs)):
                call.gives.append(f"{call.path}:{number}")
                self.enter(call.gives[-1], tensor)


def _tensors(values: object) -> Iterator[paddle.Tensor]:
    if isinstance(values, paddle.Tensor):
        yield values
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)


def _described(record: _Record, output: list[str]) -> dict:
    leaves = [call for call in record.calls if call.is_leaf]
    nodes = [_node(f"{ROOT}{name}", "feed", gives=[name]) for name in ("image", "mask")]
    nodes += [_node(call.path, _kind(call), call.takes, call.gives, _attributes(call.layer)) for call in leaves]
    nodes += _groups(leaves, output, {call.path: _kind(call) for call in record.calls})
    nodes += [_node(f"{ROOT}output", "fetch", takes=output)]
    nodes += [_node(ROOT, "", children=[node["name"] for node in nodes if _parent(node["name"]) == ROOT])]
    return {
        "version": FORMAT_VERSION,
        "nodes": nodes,
        "vars": [_variable(name, tensor, nodes) for name, tensor in record.tensors.items()],
        "edges": [],  # the page draws them by the names of what is taken and given
    }


def _groups(leaves: list[_Call], output: list[str], kinds: dict[str, str]) -> list[dict]:
    """Nodes for what holds layers: they take what comes from outside, and give what is taken there."""
    inside: dict[str, list[_Call]] = {}
    for leaf in leaves:
        path = leaf.path
        while (path := _parent(path)) != ROOT:
            inside.setdefault(path, []).append(leaf)
    children = {path: [p for p in (*inside, *(leaf.path for leaf in leaves)) if _parent(p) == path] for path in inside}
    nodes = []
    for path, held in inside.items():
        given = {name for leaf in held for name in leaf.gives}
        taken = [name for leaf in held for name in leaf.takes if name not in given]
        wanted = [name for leaf in leaves if leaf not in held for name in leaf.takes] + output
        gives = [name for name in wanted if name in given]
        kind = kinds.get(path, path.rpartition("/")[2])
        nodes.append(_node(path, kind, dict.fromkeys(taken), dict.fromkeys(gives), children=children[path]))
    return nodes


def _node(
    path: str,
    kind: str,
    takes: Iterable[str] = (),
    gives: Iterable[str] = (),
    attributes: dict | None = None,
    children: Iterable[str] = (),
) -> dict:
    attributes, children = attributes or {}, list(children)
    return {
        "name": path,
        "show_name": path,
        "type": kind,
        "attrs": attributes,
        "attr_types": dict.fromkeys(attributes, "STRING"),
        "input_vars": {"x": list(takes)},
        "output_vars": {"out": list(gives)},
        "is_leaf_node": not children,
        "children_node": children,
        "parent_node": _parent(path),
    }


def _variable(name: str, tensor: paddle.Tensor, nodes: list[dict]) -> dict:
    leaves = [node for node in nodes if node["is_leaf_node"]]
    return {
        "name": name,
        "shape": list(tensor.shape),
        "dtype": str(tensor.dtype).rpartition(".")[2],
        "persistable": False,
        "from_node": next(node["name"] for node in leaves if name in node["output_vars"]["out"]),
        "to_nodes": [node["name"] for node in leaves if name in node["input_vars"]["x"]],
    }


def _parent(path: str) -> str:
    """Of "/" there is none."""
    return "" if path == ROOT else path.rpartition("/")[0] or ROOT


def _kind(call: _Call) -> str:
    """What the page writes on a node.

    Example:
        >>> _kind(_Call("/encoder/0/conv", nn.ReLU()))
        'conv: ReLU'
    """
    return f"{call.path.rpartition('/')[2]}: {type(call.layer).__name__}"


def _attributes(layer: nn.Layer) -> dict[str, str]:
    """Of a layer, its parameters' shapes and the settings that it tells of itself."""
    shapes = {name: " x ".join(map(str, p.shape)) for name, p in layer.named_parameters(include_sublayers=True)}
    return {"settings": layer.extra_repr()} | shapes if layer.extra_repr() else shapes
