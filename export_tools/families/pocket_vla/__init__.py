"""Pocket VLA: a small vision-language-action policy of our own, trained on scripted demonstrations in simulation."""

import contextlib

# Beside a GPU build of torch comes triton, which torch imports when training begins. It crashes the process where the
# LLVM of Mesa, which draws the demonstrations, is there first; the other way round both work.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401
