"""`python -m scripts.demo`, which is what `make demo` runs."""

from edge_runtime.contracts.console import run_command

if __name__ == "__main__":
    run_command("scripts.demo.show", "make demo", ("robot", "sim", "hub"))
