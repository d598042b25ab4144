"""What robot and exporter run alike: sessions of graphs, and the processor that they run on.

Stands on the contracts alone. Whoever asks this room for the same thing gets the same numbers.
"""

import os

# ONNX Runtime (1.32) reports its use to its maker over the network and keeps a number of this machine in the home
# folder, unless it is told otherwise before it is loaded. A robot speaks to nobody whom its owner did not name.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
