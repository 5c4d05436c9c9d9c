import random
import xml.etree.ElementTree as ElementTree

import pytest

from reports.facts.formats import count, dimensions
from reports.facts.layers import layers_of
from reports.figures.student_svg import student_svg
from reports.page import write_report
from space.architecture import FAMILIES, Architecture, Family
from space.cost import Cost
from space.sampling.domain import Domain, suggest
from space.sampling.random_trial import RandomTrial
from studies.records import student_records
from studies.shipped import find, names
from studies.store import Store

SVG = "{http://www.w3.org/2000/svg}"


def random_students(family: Family) -> list[Architecture]:
    """Twenty random students of a family."""
    trials = (RandomTrial(random.Random(seed), {"family": family}) for seed in range(20))
    return [suggest(trial, Domain(), (1, 28, 28), 10) for trial in trials]


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_add_up_to_the_student(family: Family) -> None:
    for architecture in random_students(family):
        layers = layers_of(architecture)
        assert Cost.total([layer.cost for layer in layers]) == architecture.cost()
        assert [layer.shape for layer in layers] == [*architecture.shapes(), (10, 1, 1)]


def test_layers_say_what_they_are() -> None:
    layers = layers_of(find("tied-cnn"))
    assert [(layer.name, layer.activation, layer.repeats) for layer in layers[:4]] == [
        ("input", "", 1),
        ("5×5 convolution 16 /2", "relu", 1),
        ("3×3 residual convolution ×3", "relu", 3),
        ("pool max", "", 1),
    ]
    assert layers[-1].name == "linear 10"


def test_shapes_are_written_briefly() -> None:
    assert dimensions((16, 14, 14)) == "16×14×14"
    assert dimensions((1_200, 1, 1)) == "1,200"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_student_has_a_diagram(family: Family) -> None:
    for architecture in random_students(family):
        diagram = ElementTree.fromstring(student_svg(architecture, standalone=True))
        layers = layers_of(architecture)
        texts = list(diagram.iter(f"{SVG}text"))
        muted = [element.text for element in texts if "opacity" in element.attrib]
        assert muted == ["parameters", *(dimensions(layer.shape) for layer in layers)]
        parameters = {count(layer.cost.parameters) for layer in layers if layer.cost.parameters}
        assert parameters <= {element.text for element in texts}
        width, height = float(diagram.attrib["width"]), float(diagram.attrib["height"])
        for element in texts:
            assert 0 < float(element.attrib["x"]) < width
            assert 0 < float(element.attrib["y"]) < height


def test_tied_weights_are_marked_and_sizes_are_in_proportion() -> None:
    diagram = ElementTree.fromstring(student_svg(find("tied-cnn"), standalone=True))
    assert [element.text for element in diagram.iter(f"{SVG}text")].count("×3") == 2
    fronts = [e.attrib["d"] for e in diagram.iter(f"{SVG}path") if e.attrib.get("fill-opacity") == ".55"]
    sizes = [[float(part) for part in front.split("h")[1].split("v")] for front in fronts]
    stem, pooled, widened = sizes[1], sizes[3], sizes[4]
    assert stem[1] == pytest.approx(2 * pooled[1], abs=0.2)
    assert stem[0] == pytest.approx(pooled[0])
    assert widened[0] / stem[0] == pytest.approx(20 / 16, rel=0.01)


def test_a_diagram_follows_the_readers_colours_and_loads_nothing() -> None:
    alone, inside = (student_svg(find("tied-cnn"), standalone=standalone) for standalone in (True, False))
    assert "prefers-color-scheme: dark" in alone
    assert "<style" not in inside  # a style would reach the whole page
    for diagram in (alone, inside):
        assert "url(" not in diagram and "href" not in diagram


def test_the_page_shows_every_retrained_student(retrained: Store) -> None:
    page = write_report(retrained).read_text()
    for student in student_records(retrained):
        assert student_svg(student.architecture, standalone=False) in page
        for layer in layers_of(student.architecture):
            assert f"<td>{layer.name}</td>" in page


@pytest.mark.parametrize("name", names())
def test_shipped_architectures_have_a_diagram(name: str) -> None:
    assert count(find(name).cost().parameters) in student_svg(find(name), standalone=True)
