"""Distil one student from the MNIST teacher, save it, and load it again.

    python docs/examples/distil_student.py

takes about a minute on one core: it uses 5,000 images and ten epochs.
"""

import random
from pathlib import Path

import wunderkind as wk


def main(folder: Path = Path("."), samples: int = 5_000, epochs: int = 10) -> None:
    data = wk.load_data("mnist").first(samples)

    # A random student of the depthwise family, as wide as 2,000 parameters allow.
    trial = wk.RandomTrial(random.Random(3), {"family": "depthwise", "size": 2_000.0})
    student = wk.suggest(trial, wk.Domain(), data.shape, data.classes)
    print(wk.describe(student))
    print(student.cost())

    recipe = wk.Recipe(schedule="cosine", epochs=epochs, unaugmented=0.4, views=4, batch=64)
    trained = wk.distil(student, data, recipe, seed=0)
    print(f"validation accuracy {trained.validation_accuracy:.2%}, {trained.parameters:,} parameters")

    trained.save(folder / "student.safetensors")
    again = wk.load_student(folder / "student.safetensors")
    print(f"test accuracy {again.accuracy(data.test):.2%}")

    wk.export_onnx(folder / "student.safetensors", folder / "student.onnx", data.test.images[:64])


if __name__ == "__main__":
    main()
