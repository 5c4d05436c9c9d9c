"""`*.measurements.json`: what a student takes on processors, kept beside its file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from kd.files import from_json, to_json, write_whole

Bytes = Annotated[int, Field(ge=0)]
Form = Literal["int8", "float"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One form of a student on one target.

    `flash`, `ram`: what the student's own object takes, weights and code, and variables [bytes]. `image_flash`,
    `image_ram`: the least program around it, with start, input, and parts of the C library, without stack [bytes].
    `stack`: how deep a prediction goes [bytes]. `instructions`: the most of all samples, None on this machine.
    `c_ms`, `latency_ms`: medians of the C, and of the ONNX file in onnxruntime with one thread, on this machine; None
    in an emulator. `equal`: how many of the `samples` had the logits that they should have, in int8 those of the
    reference to the bit, in float those of its program in PyTorch; `answers_equal`: how many the student's answer.
    `data`: digest of the data set that the samples are of, "" for noise.
    """

    target: str
    form: Form
    optimisation: str
    compiler: str
    emulator: str
    flash: Bytes
    ram: Bytes
    image_flash: Bytes
    image_ram: Bytes
    stack: Bytes
    instructions: Annotated[int, Field(ge=1)] | None
    c_ms: float | None
    latency_ms: float | None
    samples: int
    equal: int
    answers_equal: int
    data: str

    @property
    def all_ram(self) -> int:
        """RAM of the image with the stack [bytes]."""
        return self.image_ram + self.stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """All that was measured of one student's file; `checksum` is that of the file."""

    digest: str
    checksum: int
    measured: tuple[Measurement, ...] = ()

    def to_json(self) -> str:
        """What the file holds."""
        return to_json(self)

    @classmethod
    def from_json(cls, path: Path) -> "Measurements":
        """Read a file; raises InputError for one that is damaged or of another format."""
        return from_json(_ADAPTER, path.read_bytes(), path, "delete it, and measure again")

    def of(self, target: str, form: Form) -> Measurement | None:
        """What was measured last on a target."""
        return next((one for one in self.measured if (one.target, one.form) == (target, form)), None)

    def having(self, measurement: Measurement) -> "Measurements":
        """With a measurement, in the place of an earlier one of the same target and form."""
        key = measurement.target, measurement.form
        others = tuple(one for one in self.measured if (one.target, one.form) != key)
        return replace(self, measured=(*others, measurement))


_ADAPTER = TypeAdapter(Measurements)


def place(student: Path) -> Path:
    """Where the measurements of a student's file lie."""
    return student.with_suffix(".measurements.json")


def known(student: Path, digest: str, checksum: int) -> Measurements:
    """What was measured of a student's file before; nothing where the file has changed since."""
    path = place(student)
    if path.is_file():
        found = Measurements.from_json(path)
        if (found.digest, found.checksum) == (digest, checksum):
            return found
    return Measurements(digest=digest, checksum=checksum)


def keep(student: Path, measurements: Measurements) -> Path:
    """Write the measurements beside a student's file; returns where."""
    path = place(student)
    write_whole(path, measurements.to_json())
    return path
