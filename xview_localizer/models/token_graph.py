"""Adding inputs to a backbone's graph by which patches can be left out; the weights do not change.

The inputs beside `image` are `kept` [K] int64, the row-major indices of the patches that are encoded, and `source`
[h w] int64, for each patch of the output the index in `kept` of the token that it gets. Position embeddings remain
those of the whole image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from xview_localizer.models.manifest import ModelPackageError


def leave_tokens_out(path: Path) -> None:
    """Rewrite the backbone at `path` so that it takes `kept` and `source`; does nothing where it does already.

    Raises ModelPackageError where the graph was not written by `export_backbone`.
    """
    model = onnx.load(str(path))
    if any(tensor.name == "kept" for tensor in model.graph.input):
        return
    onnx.save(with_kept_tokens(model, path.name), str(path))


def with_kept_tokens(model: ModelProto, name: str) -> ModelProto:
    """A copy of `model` with the inputs `kept` and `source`; see `leave_tokens_out`."""
    changed = ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    nodes = list(graph.node)
    joined, spread = _class_token_joined(nodes, name), _tokens_as_raster(nodes, name)
    whole = joined.output[0]
    for node in nodes:
        for index, tensor in enumerate(node.input):
            if tensor == whole:
                node.input[index] = "kept_tokens"
    class_token, patch_offset = "kept_class_token", "kept_patch_offset"
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), class_token))
    graph.initializer.append(numpy_helper.from_array(np.array(1, np.int64), patch_offset))
    graph.input.append(helper.make_tensor_value_info("kept", TensorProto.INT64, ["kept_patches"]))
    graph.input.append(helper.make_tensor_value_info("source", TensorProto.INT64, ["patches"]))
    gather = [
        helper.make_node("Add", ["kept", patch_offset], ["kept_after_class"]),
        helper.make_node("Concat", [class_token, "kept_after_class"], ["kept_with_class"], axis=0),
        helper.make_node("Gather", [whole, "kept_with_class"], ["kept_tokens"], axis=1),
    ]
    scatter = helper.make_node("Gather", [spread.input[0], "source"], ["tokens_of_patches"], axis=1)
    spread.input[0] = "tokens_of_patches"
    after, before = nodes.index(joined) + 1, nodes.index(spread)
    nodes = [*nodes[:after], *gather, *nodes[after:before], scatter, *nodes[before:]]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(changed)
    return changed


def _class_token_joined(nodes: list[NodeProto], name: str) -> NodeProto:
    """The node that puts the class token before the patches: the Concat with an Expand along axis 1."""
    expanded = {node.output[0] for node in nodes if node.op_type == "Expand"}
    for node in nodes:
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        if node.op_type == "Concat" and axis == 1 and node.input[0] in expanded:
            return node
    raise ModelPackageError(f"{name} was not written by this package's export: no node joins a class token")


def _tokens_as_raster(nodes: list[NodeProto], name: str) -> NodeProto:
    """The Transpose whose output is reshaped to the tokens."""
    makers = {output: node for node in nodes for output in node.output}
    reshaped = makers.get("tokens")
    transposed = (
        makers.get(reshaped.input[0]) if reshaped is not None and reshaped.op_type == "Reshape" else None
    )
    if transposed is None or transposed.op_type != "Transpose":
        raise ModelPackageError(
            f"{name} was not written by this package's export: its tokens are not reshaped to a raster"
        )
    return transposed
