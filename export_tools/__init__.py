"""Makes policy bundles: training, export to ONNX, INT8 quantization, parity gates. Never imported on the robot."""
