"""`python -m hub`, the same as `edge-hub`."""

from hub.entry import main

if __name__ == "__main__":
    main()
