"""The page's process: `python -m edge_runtime.page --config robot.toml --run-dir DIR`."""

from __future__ import annotations

from edge_runtime.page.options import add_options
from edge_runtime.page.serving import serve
from edge_runtime.service import Arguments, StopSignal, run_service


def _run(arguments: Arguments, stop: StopSignal) -> None:
    def tell(url: str) -> None:
        print(f"the page is at {url}", flush=True)

    serve(arguments.config, arguments.run_dir, arguments.options, lambda: bool(stop), tell)


if __name__ == "__main__":
    run_service("the page of a robot: shows it, and asks what a person with the token asks for", _run, more=add_options)
