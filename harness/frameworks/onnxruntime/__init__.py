"""ONNX Runtime: LSTM, GRU, RNN and Dropout as operators of a graph, on the CPU."""

from harness.frameworks.contract.framework import Framework

FRAMEWORK = Framework(
    name="onnxruntime",
    backends=("onnxruntime",),
    packages=("onnxruntime", "onnx"),
    listed=4,
    extra="onnxruntime",
)
