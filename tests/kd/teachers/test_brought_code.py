"""Teachers that are code or saved by PyTorch, as people have them; each works or is told in one line."""

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from kd.teachers.check import measured_teachers
from kd.teachers.fingerprint import fingerprint
from kd.teachers.source import TeacherSource
from space.errors import InputError

CODE = """
import torch
from torch import nn
from torch.nn import functional

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 3)
    def forward(self, x):
        return self.fc(x.flatten(1))

class Pair(Net):
    def forward(self, x):
        return super().forward(x), x

class Second(Net):
    def forward(self, x):
        return None, torch.zeros(1), super().forward(x)

class Mapping(Net):
    def forward(self, x):
        return {"features": x, "logits": super().forward(x)}

class Auxiliary(Net):
    def forward(self, x):
        z = super().forward(x)
        return {"main": z, "auxiliary": z[:, :2]}

class Answer:
    def __init__(self, logits):
        self.logits = logits

class Attribute(Net):
    def forward(self, x):
        return Answer(super().forward(x))

class Doubles(Net):
    def forward(self, x):
        return super().forward(x).double()

class Squeezed(Net):
    def forward(self, x):
        return super().forward(x).squeeze()

class Rows(Net):
    def forward(self, x):
        return self.fc(x)

class ChannelsLast(Net):
    def forward(self, x):
        assert x.shape[-1] == 1
        return super().forward(x)

class OneByOne(Net):
    def forward(self, x):
        return self.fc(x.reshape(1, 64))

class Dropping(Net):
    def forward(self, x):
        return super().forward(functional.dropout(x, 0.99, training=self.training))

class AlwaysDropping(Net):
    def forward(self, x):
        return super().forward(functional.dropout(x, 0.9))

class Missing(Net):
    def forward(self, x):
        return super().forward(x) if self.training else super().forward(x) * float("nan")

class Ending(Net):
    def forward(self, x):
        raise SystemExit(3)

def half():
    return Net().half()

def training():
    return Dropping().train()

def constant():
    net = Net()
    nn.init.zeros_(net.fc.weight)
    net.fc.bias.data = torch.tensor([2.0, 0.0, 0.0])
    return net

def needing(classes):
    return Net()

def with_transform():
    return Net(), None
"""


@pytest.fixture
def code(grey: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    (grey.folder / "brought.py").write_text(CODE)
    monkeypatch.syspath_prepend(grey.folder)
    monkeypatch.chdir(grey.folder)
    monkeypatch.delitem(sys.modules, "brought", raising=False)
    importlib.invalidate_caches()
    torch.save(state(grey), grey.folder / "plain.pt")
    return grey


def state(world: Any) -> dict[str, torch.Tensor]:
    weight, bias = world.linear()
    return {"fc.weight": torch.from_numpy(weight), "fc.bias": torch.from_numpy(bias)}


def measured(world: Any, model: str, weights: str | Path = "plain.pt", **settings: Any) -> Any:
    source = TeacherSource(models=(model,), weights=(str(weights),) if weights else (), **settings)
    return measured_teachers(source, world.data)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("Net", {}, ""),
        ("Pair", {}, ""),
        ("Second", {"output": "2"}, ""),
        ("Mapping", {}, ""),
        ("Auxiliary", {}, ""),
        ("Auxiliary", {"output": "main"}, ""),
        ("Attribute", {}, ""),
        ("Attribute", {"output": "logits"}, ""),
        ("Doubles", {}, ""),
        ("Squeezed", {}, ""),
        ("Rows", {}, "takes flat"),
        ("ChannelsLast", {}, "takes nhwc"),
        ("OneByOne", {}, ""),
        ("half", {}, ""),
        ("training", {}, ""),
    ],
)
def test_code_of_any_manners_works(code: Any, name: str, settings: dict[str, Any], said: str) -> None:
    (score,) = measured(code, f"brought:{name}", **settings).teachers
    assert score.train.accuracy == score.validation.accuracy == 1
    assert said in score.summary


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("Second", {}, "teacher brought:Second gives logits of shape"),
        ("Second", {"output": "7"}, r"teacher\.output = '7' is none of its outputs \(0 to 2\)"),
        ("Net", {"output": "z"}, r"teacher\.output = 'z' is none of its outputs \(one without a name\)"),
        ("AlwaysDropping", {}, "gives other logits for the same samples each time"),
        ("Missing", {}, "not finite: check its weights"),
        ("Ending", {}, "it ends the program"),
        ("needing", {}, "missing 1 required positional argument: 'classes'"),
        ("with_transform", {}, "gives a tuple: it must give a torch.nn.Module"),
        ("Net", {"classes": (0, 1)}, r"no column is of class '2'"),
    ],
)
def test_code_that_cannot_teach_is_told_in_one_line(
    code: Any, name: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        measured(code, f"brought:{name}", **settings)
    assert "\n" not in str(error.value)


def test_code_without_its_weights_is_told_that_it_has_learnt_nothing(code: Any) -> None:
    with pytest.raises(InputError, match=r"its weights \(fc\.weight, …\) are drawn anew each time"):
        measured(code, "brought:Net", weights="")
    with pytest.raises(InputError, match=r"is right for 33\.3 % of 390 labelled samples, where chance gives 33\.3 %"):
        measured(code, "brought:constant", weights="")


def checkpoints(world: Any, folder: Path) -> dict[str, Path]:
    """Weights of the linear teacher in all kinds of files."""
    plain, files = state(world), {}
    contents: dict[str, Any] = {
        "state_dict": {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in plain.items()}, "optimizer": {}},
        "parallel": {f"module.{k}": v for k, v in plain.items()},
        "compiled": {"model": {f"_orig_mod.{k}": v for k, v in plain.items()}},
        "lightning": {
            "state_dict": {**{f"net.{k}": v for k, v in plain.items()}, "loss.weight": torch.ones(3)},
            "hyper_parameters": {"rate": 0.1},
        },
        "arguments": {"args": argparse.Namespace(lr=0.1), "best": np.float64(0.9), "model_state_dict": plain},
        "optimizer first": {"optimizer": {"state": {0: {"exp_avg": torch.zeros(3, 64)}}}, "net": plain},
        "paths": {"path": Path("there"), "weights": plain},
    }
    for name, content in contents.items():
        files[name] = folder / f"{name}.pth"
        torch.save(content, files[name])
    files["safetensors"] = folder / "module.safetensors"
    save_file({f"module.{k}": v for k, v in plain.items()}, files["safetensors"])
    return files


def network(world: Any) -> nn.Module:
    module: nn.Module = importlib.import_module("brought").Net()
    module.load_state_dict(state(world))
    return module


KINDS = [
    *("state_dict", "parallel", "compiled", "lightning", "arguments", "optimizer first", "paths", "safetensors"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_found_in_checkpoints(code: Any, kind: str) -> None:
    found = measured(code, "brought:Net", checkpoints(code, code.folder)[kind])
    assert found.teachers[0].train.accuracy == 1


@pytest.fixture
def scripted(code: Any) -> Path:
    path: Path = code.folder / "script.pt"
    torch.jit.trace(network(code), torch.zeros(2, 1, 8, 8)).save(str(path))
    return path


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_torchscript_teaches_and_lends_its_weights(code: Any, scripted: Path) -> None:
    assert measured(code, str(scripted), weights="").teachers[0].validation.accuracy == 1
    assert measured(code, "brought:Net", weights=scripted).teachers[0].validation.accuracy == 1
    scripted.write_bytes(scripted.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cannot read a teacher from"):
        measured(code, str(scripted), weights="")


def test_what_pytorch_saves_that_is_no_network_is_told_with_the_way_out(code: Any) -> None:
    torch.save(network(code), code.folder / "whole.pt")
    torch.save([1, 2], code.folder / "list.pt")
    (code.folder / "old.h5").write_bytes(b"\x89HDF")
    (code.folder / "empty.pt").write_bytes(b"")
    for model, message in {
        "whole.pt": r"is a pickled module, which would run code when it is opened: save its state_dict\(\)",
        "plain.pt": r"holds weights without a network: use --teacher package\.module:callable --weights",
        "list.pt": "holds no network",
        "old.h5": r"files of \.h5 cannot be read: export it to ONNX",
        "empty.pt": "cannot read a teacher from",
    }.items():
        with pytest.raises(InputError, match=message) as error:
            measured(code, model, weights="")
        assert "\n" not in str(error.value)
    for weights, message in {
        "whole.pt": r"pickles an object of brought\.Net, which would run code",
        "list.pt": "holds no weights",
        "nowhere.pt": "no file of weights at nowhere.pt",
    }.items():
        with pytest.raises(InputError, match=message):
            measured(code, "brought:Net", weights=weights)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("raise SystemExit(5)", "importing rude ended the program .*: put the network in a module"),
        ("exit()", "importing rude ended the program"),
        (
            "import argparse; p = argparse.ArgumentParser(); p.add_argument('--lr'); p.parse_args(['--no'])",
            "unrecognized",
        ),
        ("import sys; rate = float(sys.argv[99])", "list index out of range"),
        ("answer = input('continue? ')", "EOF"),
        ("1 / 0", "division by zero"),
        ("import no_such_package_here", "No module named 'no_such_package_here'"),
        ("def Net(:", "invalid syntax"),
    ],
)
def test_whatever_a_module_does_when_it_is_imported_ends_in_one_line(
    code: Any, line: str, message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (code.folder / "rude.py").write_text(f"print('loud')\n{line}\n")
    importlib.invalidate_caches()
    with pytest.raises(InputError, match=message) as error:
        measured(code, "rude:Net", weights="")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("teacher rude:Net: ")
    assert capsys.readouterr() == ("", "")


def test_a_module_that_prints_and_sets_things_leaves_no_trace(code: Any, capsys: pytest.CaptureFixture[str]) -> None:
    head = "import torch\nprint('hello')\ntorch.set_default_dtype(torch.float64)\ntorch.manual_seed(5)\n"
    (code.folder / "loud.py").write_text(
        head + CODE.replace("nn.Linear(64, 3)", "nn.Linear(64, 3)\n        print('made')")
    )
    importlib.invalidate_caches()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    assert measured(code, "loud:Net").teachers[0].train.accuracy == 1
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.random.get_rng_state(), before)
    assert capsys.readouterr() == ("", "")


def test_code_that_loads_other_weights_is_another_teacher(code: Any) -> None:
    own = "import torch, brought, helper\ndef make():\n    net = brought.Net()\n"
    (code.folder / "own.py").write_text(
        f"{own}    net.load_state_dict(torch.load('best.pt'))\n    return helper.wrap(net)\n"
    )
    (code.folder / "helper.py").write_text("def wrap(net):\n    return net\n")
    importlib.invalidate_caches()
    source, prints = TeacherSource(models=("own:make",)), []
    weights = state(code)
    for change in (0.0, 0.0, 1e-4):
        torch.save({**weights, "fc.bias": weights["fc.bias"] + change}, code.folder / "best.pt")
        prints.append(fingerprint(source, code.data))
    assert prints[0] == prints[1] != prints[2]
    hot = "from torch import nn\nclass Hot(nn.Module):\n    def __init__(self, net):\n        super().__init__()\n"
    hot += "        self.net = net\n    def forward(self, x):\n        return self.net(x) / 2\n"
    (code.folder / "helper.py").write_text(f"{hot}wrap = Hot\n")
    for name in ("own", "helper"):
        del sys.modules[name]
    importlib.invalidate_caches()
    assert fingerprint(source, code.data) != prints[2]  # what it imports has changed


def test_a_network_is_known_by_its_weights_and_by_what_it_answers(code: Any) -> None:
    class Heated(nn.Module):
        def __init__(self, net: nn.Module, heat: float) -> None:
            super().__init__()
            self.net, self.heat = net, heat

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.net(x) / self.heat
            return logits

    named, net = TeacherSource(models=("Heated",)), network(code)
    prints = [fingerprint(named, code.data, Heated(net, heat)) for heat in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]
