"""The run directory: everything one study owns, and the lock that keeps a second driver out."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from space.errors import InputError, did_you_mean

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""What a study may be called."""

PAGE = "index.html"
"""What the report's page is called."""

DIGEST = re.compile(r"[0-9a-f]{12}")
"""What the folder of a student is called."""

SEED = re.compile(r"seed-(0|[1-9][0-9]*)\.safetensors")
"""What the weights of one of its seeds are called."""

ROOT = Path("runs")
"""Where run directories lie unless `--runs` says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDirectory:
    """`root/name` and the places in it."""

    root: Path
    name: str

    def __post_init__(self) -> None:
        """Refuse names that are not plain file names."""
        if not NAME.fullmatch(self.name):
            raise InputError(
                f"study name '{self.name}': use letters, digits, '.', '_' and '-', starting with a letter or digit"
            )

    @property
    def path(self) -> Path:
        """The directory itself."""
        return self.root / self.name

    @property
    def target(self) -> str:
        """How the command line names the study: where it does not lie in the usual place, with `--runs`."""
        return self.name if self.root == ROOT else f"{self.name} --runs {shlex.quote(str(self.root))}"

    @property
    def config(self) -> Path:
        """What was asked, as JSON."""
        return self.path / "config.json"

    @property
    def teachers(self) -> Path:
        """How good the teachers were found before they taught, as JSON."""
        return self.path / "teachers.json"

    @property
    def warm_start(self) -> Path:
        """What other studies had trained when it began, as JSON."""
        return self.path / "warm-start.json"

    @property
    def database(self) -> Path:
        """SQLite file with Optuna's tables and the ledger."""
        return self.path / "study.db"

    @property
    def checkpoints(self) -> Path:
        """Training states of candidates and retrainings."""
        return self.path / "checkpoints"

    def checkpoint(self, training: str, epochs: float) -> Path:
        """File of the state that a training run had after `epochs`."""
        return self.checkpoints / f"{training}-{epochs:g}.safetensors"

    @property
    def artifacts(self) -> Path:
        """What optuna-dashboard shows beside trials."""
        return self.path / "artifacts"

    @property
    def report(self) -> Path:
        """The report's files."""
        return self.path / "report"

    @property
    def page(self) -> Path:
        """The report's page."""
        return self.report / PAGE

    @property
    def students(self) -> Path:
        """One folder a retrained student."""
        return self.path / "students"

    def student(self, digest: str) -> Path:
        """Folder of one retrained student."""
        return self.students / digest

    @property
    def teacher_reading(self) -> Path:
        """What the students' teacher answers, where it can be asked."""
        return self.path / "teacher" / "answers.safetensors"

    @property
    def teacher_features(self) -> Path:
        """The teacher's features in a plane."""
        return self.path / "teacher" / "features.safetensors"

    def student_features(self, digest: str, seed: int) -> Path:
        """The features of one of a student's seeds in a plane."""
        return self.student(digest) / f"features-{seed}.safetensors"

    @property
    def student_folders(self) -> list[Path]:
        """Folders of the retrained students that there are; what else lies there is none of ours."""
        return sorted(path for path in self.students.glob("*") if DIGEST.fullmatch(path.name) and path.is_dir())

    def seeds(self, digest: str) -> list[int]:
        """Seeds of a student's files of weights, ascending."""
        found = (SEED.fullmatch(path.name) for path in self.student(digest).glob("seed-*"))
        return sorted(int(seed[1]) for seed in found if seed)

    @property
    def cache(self) -> Path:
        """Views, shared by all studies under the same root."""
        return self.root / ".views"

    @property
    def assistants(self) -> Path:
        """Trained assistants, shared by all studies under the same root."""
        return self.root / ".assistants"

    @property
    def _lock(self) -> Path:
        return self.path / "driver.lock"

    def require(self) -> None:
        """Raise InputError when there is no study of this name."""
        if not self.config.is_file():
            known = study_names(self.root)
            hint = f"studies here: {', '.join(known)}" if known else "start one with wunderkind run"
            alike = did_you_mean(get_close_matches(self.name, known))
            raise InputError(f"no study '{self.name}' under {self.root}: {alike}{hint}")

    def in_use(self) -> bool:
        """Whether a process holds the study."""
        from filelock import FileLock, Timeout  # imports asyncio, which --help must not wait for

        try:
            with FileLock(self._lock, timeout=0) if self._lock.is_file() else nullcontext():
                return False
        except Timeout:
            return True
        except OSError:  # a copy that nobody may write
            return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the study; raises InputError when another process does. The lock ends with the process."""
        from filelock import FileLock, Timeout  # as in `in_use`

        self.path.mkdir(parents=True, exist_ok=True)
        try:
            # longer than `in_use` holds it, and tried often, however often somebody asks
            with FileLock(self._lock).acquire(timeout=0.5, poll_interval=0.005):
                yield
        except Timeout:
            raise InputError(
                f"another process is working on study '{self.name}': wait for it, or use another --name"
            ) from None


def study_of(weights: Path) -> RunDirectory | None:
    """The study that the file of a retrained student lies in, None where it lies elsewhere."""
    students = weights.absolute().parent.parent
    study = students.parent
    inside = students.name == "students" and (study / "config.json").is_file() and NAME.fullmatch(study.name)
    return RunDirectory(root=study.parent, name=study.name) if inside else None


def reading_file(weights: Path) -> Path:
    """Where the answers of the student with these weights lie."""
    return weights.with_name(f"answers-{weights.stem.removeprefix('seed-')}.safetensors")


def name_of(preset: str) -> str:
    """What a study is called that nobody named: as its preset or file, with '-' for what a name may not have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(preset).stem).strip("._-") or "study"


def study_names(root: Path) -> list[str]:
    """Names of the studies under a root, in alphabetical order."""
    names = (path.parent.name for path in root.glob("*/config.json"))
    return sorted(name for name in names if NAME.fullmatch(name))
