"""Open teachers: from pixels to logits, whatever kind of file or code a teacher is."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from kd.data.dataset import DataSet, values
from kd.students.file import Deployed, load_student
from kd.teachers import network as teachers
from kd.teachers.inputs import check_input, layouts, prepared
from kd.teachers.logits_file import open_logits
from kd.teachers.network_call import Network
from kd.teachers.onnx_file import open_onnx
from kd.teachers.outputs import Kind, column_order, kind_of, pick, rows, to_logits
from kd.teachers.saved import fill, open_torchscript
from kd.teachers.source import FOREIGN, SAVED, STORED, TeacherSource
from kd.teachers.user_code import make_module
from space.errors import InputError, first_line

PROBED = 32
"""Training samples that a teacher is tried on before a study starts; what its outputs are is told from them."""


class LogitFunction(Protocol):
    """An open teacher."""

    def __call__(self, pixels: Tensor, places: Tensor | None = None, /) -> Tensor:
        """Logits (batch, classes) for `kd.data.dataset.values`, float32 (batch, *shape).

        A file of logits looks only at the samples' `places` in the training split, int64 (batch,).
        """


MapConsumer = Callable[[Tensor], None]
"""Is handed the maps of a teacher's stage."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Member:
    """One open teacher: a network, and how its inputs and outputs are to be taken.

    `source` says how, with its layout and scale found out; `one_by_one` that it takes a single sample at a time.
    """

    name: str
    network: Network
    source: TeacherSource
    data: DataSet
    kind: Kind = "logits"
    one_by_one: bool = False

    @property
    def title(self) -> str:
        """What it is called where its folder does not matter."""
        return self.name if ":" in self.name else Path(self.name).name

    @property
    def stored(self) -> bool:
        """Whether it knows training samples alone."""
        return self.name.lower().endswith(STORED)

    @property
    def columns(self) -> int:
        """How many logits the teacher gives."""
        return len(self.source.classes) or self.data.classes

    @torch.no_grad()
    def rows(self, pixels: Tensor, places: Tensor | None = None) -> Tensor:
        """What the teacher gives, float32 (batch, columns), or whatever shape it has that is no rows."""
        if not self.one_by_one:
            return self._rows(pixels, places)
        parts = zip(pixels.split(1), places.split(1) if places is not None else [None] * len(pixels), strict=True)
        return torch.cat([self._rows(*part) for part in parts])

    def _rows(self, pixels: Tensor, places: Tensor | None) -> Tensor:
        given = self.network.forward(prepared(pixels, self.source, self.data), places)
        return rows(pick(given, self.source.output, len(pixels), self.columns), len(pixels), self.columns)

    def __call__(self, pixels: Tensor, places: Tensor | None = None, /) -> Tensor:
        """Logits (batch, classes) for `kd.data.dataset.values`, as `LogitFunction`."""
        logits: Tensor = to_logits(self.rows(pixels, places), self.kind, column_order(self.source, self.data))
        return logits


def open_teacher(
    source: TeacherSource,
    data: DataSet,
    device: torch.device,
    keep: MapConsumer = lambda maps: None,
    module: nn.Module | None = None,
) -> LogitFunction:
    """Open all teachers of a source and try them on a few training images.

    The logits of several teachers are the logarithm of the mean of their probabilities (Hinton et al. 2015, section
    2.1). With a stage, every call, also those of the trial, first hands its maps (batch, channels, height, width) to
    `keep`, float32, both sides at most `source.cells`. A `module` is the one teacher itself, which is then only named
    by `source`; it is copied.

    Raises:
        InputError: for a missing or unreadable file, code that cannot be called, logits of a wrong shape, NaN or beyond
            float16, an unknown stage or one that gives no maps.
    """
    return ensemble(open_members(source, data, device, keep, module))


def ensemble(members: list[Member]) -> LogitFunction:
    """The logarithm of the mean of the members' probabilities; of a single one its logits."""
    if len(members) == 1:
        return members[0]

    def mean(pixels: Tensor, places: Tensor | None = None) -> Tensor:
        return torch.stack([member(pixels, places).log_softmax(1) for member in members]).logsumexp(0)

    return mean


def open_members(
    source: TeacherSource,
    data: DataSet,
    device: torch.device,
    keep: MapConsumer = lambda maps: None,
    module: nn.Module | None = None,
) -> list[Member]:
    """Each teacher of a source by itself; see `open_teacher`."""
    source = source if module is not None else source.resolved()
    check_input(source, data)
    column_order(source, data)
    if module is not None:
        network = _of_module(deepcopy(module).to(device), source, data, device, keep)
        return [_tried(source.models[0], network, source, data, device)]
    weights = source.weights or ("",) * len(source.models)
    return [_open(model, file, source, data, device, keep) for model, file in zip(source.models, weights, strict=True)]


def _open(
    model: str, weights: str, source: TeacherSource, data: DataSet, device: torch.device, keep: MapConsumer
) -> Member:
    path, kind = Path(model), model.lower()
    if weights and ":" not in model:
        raise InputError(f"teacher {model} brings its own weights: leave {weights} away")
    if kind.endswith(FOREIGN):
        raise InputError(f"teacher {model}: files of {path.suffix} cannot be read: export it to ONNX")
    if kind.endswith(".safetensors"):
        # what it takes and gives it knows itself
        own = replace(source, scale="0..1", layout="auto", channels="rgb", output="")
        network = replace(_of_module(_own(path, data, device), own, data, device, keep), layouts=())
        return _tried(model, network, own, data, device)
    if kind.endswith(STORED):
        return _tried(model, open_logits(path, data, len(source.classes) or data.classes, device), source, data, device)
    if kind.endswith(".onnx"):
        network = open_onnx(path, data, device)
    elif kind.endswith(SAVED):
        network = _of_module(open_torchscript(path).to(device), source, data, device, keep)
    else:
        module = make_module(model, len(source.classes) or data.classes)
        if weights:
            fill(module, Path(weights), model)
        network = _of_module(module.to(device), source, data, device, keep)
    return _tried(model, network, source, data, device)


def _own(path: Path, data: DataSet, device: torch.device) -> nn.Module:
    try:
        with safe_open(path, framework="pt") as archive:
            is_student = "student" in (archive.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot read a teacher from {path} ({first_line(error)}): make one with wunderkind teach"
        ) from error
    if is_student:
        return Deployed(load_student(path)).to(device)
    teacher = teachers.load(path, device)
    teachers.check(teacher, data)
    return teachers.fused(teacher)


def _of_module(
    module: nn.Module, source: TeacherSource, data: DataSet, device: torch.device, keep: MapConsumer
) -> Network:
    """A module in float32 and evaluation mode, whose stage's maps are kept."""
    module = module.float().eval()
    fitting = layouts(data)
    if not source.stage:
        return Network(forward=lambda samples, _places: module(samples.to(device)), layouts=fitting)
    stages = dict(module.named_modules())
    if source.stage not in stages:
        near = ", ".join(get_close_matches(source.stage, filter(None, stages), n=6, cutoff=0))
        raise InputError(f"teacher.stage = '{source.stage}': {source.models[0]} has no such submodule, but {near}")
    seen: list[Tensor] = []
    # pooled at once, because the next module may work in place
    stages[source.stage].register_forward_hook(lambda _m, _i, output: seen.append(_pooled(output, source.cells)))

    def forward(samples: Tensor, _places: Tensor | None) -> object:
        seen.clear()
        given = module(samples.to(device))
        if not seen:
            raise InputError(f"teacher.stage = '{source.stage}' is not run: name another")
        keep(seen[-1])
        return given

    return Network(forward=forward, layouts=fitting)


def _pooled(output: object, cells: int) -> Tensor:
    if not isinstance(output, Tensor) or output.ndim not in (2, 4):
        what = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise InputError(f"teacher.stage gives {what}: name one that gives (batch, channels, height, width) or vectors")
    maps = output.float() if output.ndim == 4 else output.float()[:, :, None, None]
    height, width = (min(cells, side) for side in maps.shape[2:])
    return functional.adaptive_avg_pool2d(maps, (height, width))


def probe_places(data: DataSet, count: int = PROBED) -> Tensor:
    """Places of samples spread evenly over the training split, int64: a file may hold one class after the other."""
    places: Tensor = torch.linspace(0, len(data.train.labels) - 1, min(count, len(data.train.labels))).long().unique()
    return places


def _tried(name: str, network: Network, source: TeacherSource, data: DataSet, device: torch.device) -> Member:
    """The first way to call a network on a few samples that gives logits; raises InputError where none does."""
    places = probe_places(data)
    pixels = values(data.train.taken(places).to(device))
    failure: Exception | None = None
    for member in _ways(name, network, source, data):
        try:
            given = member.rows(pixels, places)
            member.rows(pixels[1:], places[1:])  # the last batch of a view is a smaller one
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            failure = failure or (error if isinstance(error, Exception) else RuntimeError("it ends the program"))
            continue
        _check_rows(member, given)
        return replace(member, kind=kind_of(given))
    if isinstance(failure, InputError):
        raise InputError(f"teacher {name}: {failure}") from failure
    shape = tuple(pixels.shape)
    reason = f"{type(failure).__name__}: {first_line(failure)}"
    raise InputError(
        f"teacher {name} cannot take pixels of shape {shape}, or for one image less ({reason})"
    ) from failure


def _ways(name: str, network: Network, source: TeacherSource, data: DataSet) -> Iterator[Member]:
    """Ways to call a network, the likeliest first: the layouts that are not ruled out, then one sample at a time."""
    asked = replace(source, scale=network.scale or source.scale)
    found = [layout for layout in network.layouts if source.layout in ("auto", layout)]
    if network.layouts and not found:
        raise InputError(f"teacher.layout = '{source.layout}': {name} takes {' or '.join(network.layouts)}")
    for one_by_one in (False, True) if found else (False,):
        for layout in found or ["auto"]:
            yield Member(
                name=name, network=network, source=replace(asked, layout=layout), data=data, one_by_one=one_by_one
            )


def _check_rows(member: Member, given: Tensor) -> None:
    """Raise InputError for what is no logits of the data's classes."""
    name, data, count = member.name, member.data, min(PROBED, len(member.data.train.labels))
    if not given.is_floating_point():
        raise InputError(f"teacher {name} gives {given.dtype} of shape {tuple(given.shape)}: it must give logits")
    binary = data.classes == 2 and not member.source.classes and given.ndim == 2 and given.shape[1] == 1
    if given.ndim != 2 or (given.shape[1] != member.columns and not binary):
        columns = (
            f"teacher.classes names {member.columns}" if member.source.classes else f"{data.name} has {data.classes}"
        )
        raise InputError(
            f"teacher {name} gives logits of shape {tuple(given.shape)} for {count} images, "
            f"{columns} classes: it must give ({count}, {member.columns}), or name its columns with teacher.classes"
        )
    if not bool(given.isfinite().all()):
        raise InputError(f"teacher {name} gives logits that are not finite: check its weights and teacher.scale")
    if not bool(given.half().isfinite().all()):
        raise InputError(
            f"teacher {name} gives logits up to {float(given.abs().max()):g}, which float16 cannot hold: scale them "
            "down to 65,504 at most"
        )
