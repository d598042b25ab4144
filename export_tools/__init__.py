"""Makes policy bundles: training, export to ONNX, INT8 quantization, parity gates. Never imported on the robot."""

import os

# As in `edge_runtime.policies`: before ONNX Runtime is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
