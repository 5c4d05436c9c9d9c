"""Run an exported student with onnxruntime alone: neither PyTorch nor wunderkind is needed.

python docs/examples/run_onnx.py runs/mnist-quick/students/DIGEST/student.onnx digit.png …
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image


def classify(model: str, pictures: list[str]) -> list[tuple[int, float]]:
    """Class and confidence of each picture."""
    session = onnxruntime.InferenceSession(model)
    (inputs,) = session.get_inputs()
    _, channels, height, width = inputs.shape
    mode = "L" if channels == 1 else "RGB"
    images = [Image.open(picture).convert(mode).resize((width, height)) for picture in pictures]
    pixels = np.stack([np.asarray(image, np.float32).reshape(height, width, channels) for image in images]) / 255
    (logits,) = session.run(None, {inputs.name: pixels.transpose(0, 3, 1, 2)})
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    confidences = exponentials / exponentials.sum(axis=1, keepdims=True)
    return [(int(row.argmax()), float(row.max())) for row in confidences]


if __name__ == "__main__":
    for picture, (label, confidence) in zip(sys.argv[2:], classify(sys.argv[1], sys.argv[2:]), strict=True):
        print(f"{picture}: {label} ({confidence:.1%})")
