"""The explorer's page is answered while a cell runs, on real kernels."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from front_end import CommLink, FrontEnd, Message

DEEP = ("-0.743643887037158704752191506114774", "0.131825904205311970493132056385139")


class Recorder:
    """The page of an explorer that asks and keeps what it hears."""

    def __init__(self, front: FrontEnd, comm_id: str) -> None:
        self.comm_link = CommLink(front, comm_id)
        self.heard: dict[str, tuple[Message, Sequence[Any]]] = {}
        self.front = front

    def receive(self, _link: Any, content: Message, buffers: Sequence[Any]) -> None:
        self.heard[content["id"]] = content, buffers

    def ask(self, **content: Any) -> None:
        self.front.call(lambda: self.comm_link.send(content, ()))

    def answer(self, question: str, timeout: float = 20.0) -> tuple[Message, Sequence[Any]]:
        end = time.monotonic() + timeout
        while question not in self.heard:
            assert time.monotonic() < end, f"no answer to {question} while the cell runs"
            time.sleep(0.01)
        return self.heard[question]


def test_an_explorer_is_answered_while_a_cell_runs(front: FrontEnd) -> None:
    old = front.run("print(ipykernel.__version__)").startswith("6")
    front.run("gpu = wg.GPU(); gpu.ready()")
    # ipykernel 6 lets messages in while a cell waits for a GPU; 7 always does.
    if old:
        front.call(lambda: setattr(front.page, "delay_s", 5.0))
        waiting = "gpu.run(SQUARE, x=a, y=wg.out(a.shape), threads=a.size)"
    else:
        waiting = "time.sleep(5)"
    run = front.start(
        f"explorer = wg.MandelbrotExplorer({DEEP!r}, '1e-25')\nprint(explorer.comm.comm_id, flush=True)\n{waiting}\nprint('over')"
    )
    assert run.printed.wait(20)
    page = Recorder(front, run.text.split()[0])
    front.call(lambda: front.pages.__setitem__(page.comm_link.comm_id, [page]))
    try:
        page.ask(id="1", kind="hello")
        assert "@compute" in page.answer("1")[0]["shaders"]["perturb"]
        view = {"center": DEEP, "width": "1e-25", "size": [200, 150], "max_iter": 5000, "power": 2, "julia": None}
        page.ask(id="2", kind="prepare", view=view, have="", exact=False)
        content, buffers = page.answer("2")
        assert content["kind"] == "prepared", json.dumps(content)[:300]
        assert content["plan"]["method"] == "bla"
        assert len(buffers) == 3
        assert not run.done.is_set(), "the cell had ended before"
        assert run.ok().endswith("over")
    finally:
        front.call(lambda: front.pages.pop(page.comm_link.comm_id))
    front.run("explorer.close(); gpu.close()")


def test_the_orbit_is_there_before_it_is_asked_for(front: FrontEnd) -> None:
    computed = front.run(
        "from webgpu_widget.mandelbrot import work\nbefore = work.orbits.computed\n"
        "explorer = wg.MandelbrotExplorer(('-1.76854', '0.00173'), '1e-30')\n"
        "end = time.monotonic() + 20\n"
        "while work.orbits.computed == before and time.monotonic() < end: time.sleep(0.01)\n"
        "print(work.orbits.computed - before)"
    )
    assert computed == "1"
    again = front.run(
        "before = work.orbits.computed\nwork.prepare(explorer.view.replace(size=(900, 500)))\n"
        "print(work.orbits.computed - before)\nexplorer.close()"
    )
    assert again == "0", "the page's question finds it"
