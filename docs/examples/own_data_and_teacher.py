"""Your own data and your own teacher: write an .npz file, hand over a PyTorch module, distil a student.

    python docs/examples/own_data_and_teacher.py

The data here are made up: two classes of 16 × 16 images, stripes that run across or down. The teacher is a small
network trained in the usual way; any module that maps pixels between 0 and 1 to logits can take its place.
"""

import random
from pathlib import Path

import numpy as np
import torch
from torch import nn

import wunderkind as wk


def stripes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    images = generator.integers(0, 120, (count, 16, 16))
    for image, label in zip(images, labels, strict=True):
        rows = image if label == 0 else image.T
        rows[generator.integers(0, 4) :: 4] += 90
    return images.astype(np.uint8), labels


def train_teacher(data: wk.DataSet) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool2d(4), nn.Flatten(), nn.Linear(256, 2)
        )
        optimizer = torch.optim.Adam(teacher.parameters(), lr=3e-3)
        for _ in range(8):
            for images, labels in zip(data.train.images.split(64), data.train.labels.split(64), strict=True):
                loss = nn.functional.cross_entropy(teacher(images / 255), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return teacher.eval()


def main(folder: Path = Path(".")) -> None:
    (x_train, y_train), (x_test, y_test) = stripes(2_000, seed=0), stripes(500, seed=1)
    path = folder / "stripes.npz"
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)

    data = wk.load_data(wk.DataSource(name=str(path), validation=400))
    teacher = train_teacher(data)

    trial = wk.RandomTrial(random.Random(0), {"family": "cnn", "size": 600.0})
    student = wk.suggest(trial, wk.Domain(), data.shape, data.classes)
    recipe = wk.Recipe(schedule="cosine", epochs=6, batch=32, views=1, augmentation=wk.NO_AUGMENTATION)
    trained = wk.distil(student, data, recipe, teacher=teacher)
    print(f"{trained.parameters:,} parameters, validation accuracy {trained.validation_accuracy:.2%}")


if __name__ == "__main__":
    main()
