"""A trained student as one ONNX file: its program as onnxruntime runs it, checked against PyTorch."""

import json
import logging
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from kd.data.dataset import per_channel, values
from kd.deploy.interpret import Watcher, run_normalised
from kd.deploy.lower import lower
from kd.deploy.program import Program, tensors
from kd.files import write_whole
from kd.students.file import Deployed, TrainedStudent, load_student
from space.blocks.base import as_maps

OUTPUT = "logits"
CLASSES = "classes"
"""Key of the model's metadata that holds the classes' names, a JSON list in the order of the logits."""
NORMALISATION = ("mean", "std")
"""Names of the stored vectors that normalise the input: statistics of the data, no parameters of the student."""
BATCHES = (1, 64)
"""Batch sizes at which an export must agree with PyTorch."""
TOLERANCE = 1e-4
"""Largest difference of a logit, as a share of the largest logit (at least 1).

Both sides compute in float32 and differ in the order of sums only: over 29 random students of all families the largest
difference measured was 7e-7.
"""


class ExportError(RuntimeError):
    """An export does not compute what the student computes."""


class Exported(nn.Module):
    """A student's program that takes `kd.data.dataset.values`, with its normalisation and its constants as buffers.

    A subclass may change what is kept of activations and weights, by being a `kd.deploy.interpret.Watcher` itself.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, student: TrainedStudent, program: Program) -> None:
        """Put the student's normalisation in front of its program."""
        super().__init__()
        self.program, shape = program, student.architecture.shape
        self.register_buffer("mean", per_channel(student.mean, shape))
        self.register_buffer("std", per_channel(student.std, shape))
        for number, tensor in enumerate(tensors(program.operations)):
            self.register_buffer(f"constant_{number}", tensor)

    def watcher(self) -> Watcher | None:
        """What sees, and changes, activations and weights."""
        return None

    def forward(self, samples: Tensor) -> Tensor:
        """Logits (n, classes)."""
        constants = (tensor for name, tensor in self.named_buffers() if name.startswith("constant_"))
        program = self.program.map(lambda _: next(constants))
        return run_normalised(program, as_maps((samples - self.mean) / self.std), self.watcher())


def export_onnx(student_path: Path, onnx_path: Path, images: Tensor) -> float:
    """Write a student as `onnx_path`, whole or not at all, once it agrees with PyTorch.

    The model takes for any n `image`, float32 (n, channels, height, width), pixels in 0..1, or `sequence`, float32
    (n, time, features), as it is, and gives `logits`, float32 (n, classes). Its metadata hold the
    classes' names. Liquid cells are scans: neither the file nor the export grows with the steps of a sequence.

    Args:
        student_path: what `kd.students.file.save_student` wrote.
        onnx_path: the file to write.
        images: at least 64 of a `kd.data.dataset.Split`'s samples to compare on.

    Returns:
        The largest difference of a logit from PyTorch's.

    Raises:
        ExportError: when a logit differs by more than `TOLERANCE` of the largest one.
        space.errors.InputError: when there is no student in `student_path`.
    """
    student = load_student(student_path)
    content = onnx_content(student)
    difference, limit = compare(student, content, images)
    if not difference <= limit:
        raise ExportError(
            f"{onnx_path.name} of {student_path}: a logit differs from PyTorch's by {difference:.2g}, limit {limit:.2g}"
        )
    write_whole(onnx_path, content)
    return difference


@torch.no_grad()
def compare(student: TrainedStudent, content: bytes, images: Tensor) -> tuple[float, float]:
    """Largest difference of a logit between an ONNX model and PyTorch, over `BATCHES`, and the most it may be.

    Args:
        student: the original.
        content: the ONNX model.
        images: at least 64 of a `kd.data.dataset.Split`'s samples.
    """
    session, deployed = open_session(content), Deployed(student).eval()
    difference, limit = 0.0, TOLERANCE
    for batch in BATCHES:
        pixels = values(images[:batch])
        expected = deployed(pixels)
        (logits,) = session.run([OUTPUT], {session.get_inputs()[0].name: pixels.numpy()})
        away = (torch.from_numpy(logits) - expected).abs().nan_to_num(nan=math.inf, posinf=math.inf)
        difference = max(difference, float(away.max()))
        limit = max(limit, TOLERANCE * float(expected.abs().max().nan_to_num()))
    return difference, limit


def open_session(content: bytes) -> Any:
    """An `onnxruntime.InferenceSession` of a model, on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def stored_values(model: onnx.ModelProto) -> int:
    """Floating-point values that a model of ours holds: all but scalars and the normalisation of its input."""
    return sum(math.prod(tensor.dims) for tensor in _tensors(model.graph) if _is_weight(tensor))


def _is_weight(tensor: onnx.TensorProto) -> bool:
    floating = tensor.data_type == onnx.TensorProto.FLOAT
    return floating and len(tensor.dims) > 0 and tensor.name not in NORMALISATION


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Tensors stored in a graph and in the bodies of its scans."""
    yield from graph.initializer
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        if attribute.type == onnx.AttributeProto.TENSOR:
            yield attribute.t
        elif attribute.type == onnx.AttributeProto.GRAPH:
            yield from _tensors(attribute.g)


def onnx_content(student: TrainedStudent) -> bytes:
    """A student as an ONNX model that holds exactly its `Cost.deployed_parameters` values, as `stored_values` counts.

    Weights that are tied are stored once, however often they are applied.
    """
    return exported(Exported(student, lower(student)), student, {})


def exported(module: nn.Module, student: TrainedStudent, about: Mapping[str, str]) -> bytes:
    """A module that takes a student's `kd.data.dataset.values` as an ONNX model, with `about` in its metadata."""
    example = torch.zeros(2, *student.architecture.shape)
    with _quiet():
        program = torch.onnx.export(
            module.eval(),
            (example,),
            input_names=["sequence" if example.ndim == 3 else "image"],
            output_names=[OUTPUT],
            dynamic_shapes={"samples": {0: torch.export.Dim.DYNAMIC}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    model.ClearField("metadata_props")
    _strip(model.graph)
    onnx.helper.set_model_props(model, {CLASSES: json.dumps(student.names), **about})
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _strip(graph: onnx.GraphProto) -> None:
    """Clear what the exporter notes of this machine at every node, its source lines: they are half the file."""
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")
    for node in graph.node:
        node.ClearField("doc_string")
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:  # the body of a scan
                _strip(attribute.g)


@contextmanager
def _quiet() -> Iterator[None]:
    # the exporter warns and logs about its own internals, which no user can act on
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
