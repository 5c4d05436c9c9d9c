"""wunderkind from Python: everything a user needs, under one name.

    import wunderkind as wk

    data = wk.load_data("mnist")
    student = wk.suggest(wk.RandomTrial(random.Random(0)), wk.Domain(), data.shape, data.classes)
    trained = wk.distil(student, data, wk.Recipe(schedule="cosine", epochs=5))
    print(trained.parameters, trained.validation_accuracy)

Importing it starts no process and changes no setting of PyTorch, Optuna or the random generators.
"""

import importlib
from pathlib import Path

from space.errors import InputError

for _folder in ("space", "kd", "studies", "reports", "search"):
    _file = importlib.import_module(_folder).__file__ or ""
    if Path(_file).parent.parent != Path(__file__).parent:
        raise ImportError(f"wunderkind needs its own package '{_folder}', but {_file} comes first: rename that one")

from kd.data.augmentation import NO_AUGMENTATION, Augmentation
from kd.data.dataset import DataSet, DataSource
from kd.data.dataset import load as load_data
from kd.deploy.onnx import export_onnx
from kd.distil.distil import distil
from kd.environment import version
from kd.optim.recipe import Recipe
from kd.students.file import TrainedStudent, load_student
from kd.teachers.network import Teacher
from kd.teachers.source import TeacherSource
from reports.study import Study, open_study
from search.pareto.pruner import ParetoPruner
from search.run import run
from space.architecture import Architecture
from space.budget import Budget
from space.cost import Cost
from space.describe import describe
from space.network import Student, build
from space.sampling.domain import Domain, suggest
from space.sampling.mutation import mutate
from space.sampling.random_trial import RandomTrial
from studies.configuration.config import Config
from studies.configuration.file import read as read_config
from studies.shipped import find as find_architecture
from studies.tables import load_table

__version__ = version()

__all__ = [
    "NO_AUGMENTATION",
    "Architecture",
    "Augmentation",
    "Budget",
    "Config",
    "Cost",
    "DataSet",
    "DataSource",
    "Domain",
    "InputError",
    "ParetoPruner",
    "RandomTrial",
    "Recipe",
    "Student",
    "Study",
    "Teacher",
    "TeacherSource",
    "TrainedStudent",
    "__version__",
    "build",
    "describe",
    "distil",
    "export_onnx",
    "find_architecture",
    "load_data",
    "load_student",
    "load_table",
    "mutate",
    "open_study",
    "read_config",
    "run",
    "suggest",
]
