"""`python -m scripts.demo`, which is what `make demo` runs."""

from edge_runtime.contracts.first import end_by_ctrl_c

if __name__ == "__main__":
    end_by_ctrl_c()
    from edge_runtime.contracts.console import run_command

    run_command("scripts.demo.show", "make demo", ("robot", "sim", "hub"))
