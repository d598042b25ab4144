"""`python -m tests.policies.run_graphs [--saturating] DIR`: runs the graphs in DIR through the factory of sessions.

Prints the processor, and as JSON the names of those that give anything else than their archives want, with the largest
error. Needs the factory and NumPy alone. `--saturating` leaves out what makes products exact: on a processor whose
kernels saturate the graphs have to be wrong then.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from edge_runtime.policies import session
from edge_runtime.policies.processor import describe


def wrong(folder: Path) -> dict[str, float]:
    """Largest error of each graph that is off, as it is and from the engine that is made of it."""
    found: dict[str, float] = {}
    for path in sorted(folder.glob("*.onnx")):
        with np.load(path.with_suffix(".npz")) as archive:
            data = dict(archive)
        want, within = data.pop("want"), float(data.pop("within"))
        model = path.read_bytes()
        for made, is_engine in ((model, False), (session.optimize(path.stem, model), True)):
            output = session.OrtSession(path.stem, made, threads=1, optimized=is_engine).run(data)["y"]
            error = np.abs(output.astype(np.float64) - want).max()
            if not error <= within:
                found[path.stem] = float(error)
    return found


def main() -> None:
    """Print one line."""
    *options, folder = sys.argv[1:]
    if "--saturating" in options:
        session.exact_entries = dict
        session._require_runnable = lambda *_: None
    print(json.dumps({"processor": describe().instruction_set, "wrong": wrong(Path(folder))}))


if __name__ == "__main__":
    main()
