import runpy, pathlib
_b = runpy.run_path(str(pathlib.Path.cwd()/"edge_runtime/native/build.py"))
def builder():
    g=_b["builder"].__globals__
    g["HEADERS"]=tuple(h for h in g["HEADERS"] if h not in ("control/loop/plan.h","control/loop/stop_line.h","control/loop/loop.h"))
    g["SOURCES"]=tuple(s for s in g["SOURCES"] if s.startswith(("native/","safety/","control/loop/black_box.c")))
    g["PACKAGE"]=pathlib.Path.cwd()/"edge_runtime"
    return _b["builder"]()
