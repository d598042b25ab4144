"""`python -m export_tools`: the same as the `edge-export` command."""

from export_tools.entry import main

if __name__ == "__main__":
    main()
