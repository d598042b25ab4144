"""`python -m scripts.demo`, which is what `make demo` runs."""

from contracts.first import end_by_ctrl_c

if __name__ == "__main__":
    end_by_ctrl_c()
    from contracts.console import run_command

    run_command("scripts.demo.show", "make demo", ("robot", "sim", "hub"))
