"""A thousand browsers that answer after drawn times, against the real scheduler, client and hand-out.

Each simulated worker speaks Dask's worker protocol in this process: it registers with ``resources={"webgpu": 1}``, is given tasks, "computes" one at a time for a time
drawn from a log-normal law, and reports. Nothing of the scheduler is simulated. What is measured is the processor time of the whole process per task,
fake workers included, and how long workers were idle while tasks waited.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import sys
import time
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

from distributed.batched import BatchedSend
from distributed.comm.core import connect
from distributed.core import Server, Status
from distributed.protocol.pickle import dumps
from distributed.protocol.serialize import Serialize
from distributed.versions import get_versions

import webgpu_widget as wg
from webgpu_widget.cluster.dask import send_promptly
from webgpu_widget.cluster.tasks import Flow, Piece

VERSIONS = get_versions()
TYPE = dumps(type(None))
METRICS: dict[str, Any] = {
    "task_counts": {},
    "bandwidth": {"total": 1e8, "workers": {}, "types": {}},
    "digests_total_since_heartbeat": {},
    "managed_bytes": 0,
    "spilled_bytes": {"memory": 0, "disk": 0},
    "transfer": {
        "incoming_bytes": 0,
        "incoming_count": 0,
        "incoming_count_total": 0,
        "outgoing_bytes": 0,
        "outgoing_count": 0,
        "outgoing_count_total": 0,
    },
    "event_loop_interval": 0.02,
    "cpu": 0,
    "memory": 0,
    "time": 0,
    "host_net_io": {"read_bps": 0, "write_bps": 0},
    "num_fds": 1,
}


def work(_gpu: wg.GPU) -> None:
    """Stand for a task; a simulated worker never calls it."""


class SimulatedWorker:
    """Registers, and answers each task when its GPU would have finished it."""

    def __init__(self, number: int, mean_s: float, seed: int) -> None:
        self.name = f"simulated-{number}"
        self._random = random.Random(seed)  # noqa: S311
        self.speed = self._random.choice((0.5, 1.0, 1.0, 2.0))
        self._mean_s = mean_s
        self._free_at = 0.0
        self.gaps: list[tuple[float, float]] = []
        self.done = 0
        self.member = SimpleNamespace(id=self.name, address="", state="ready")

    async def start(self, scheduler: str) -> None:
        self._server = Server(handlers={"get_data": self._get_data})
        await self._server.listen("inproc://")
        self.member.address = self._server.address
        self._comm = await connect(scheduler)
        await self._comm.write(
            {
                "op": "register-worker",
                "reply": False,
                "address": self._server.address,
                "status": "running",
                "nthreads": 2,
                "name": self.name,
                "now": time.time(),
                "resources": {"webgpu": 1},
                "memory_limit": 1 << 30,
                "local_directory": "",
                "services": {},
                "nanny": None,
                "pid": 1,
                "versions": VERSIONS,
                "metrics": METRICS,
                "extra": {},
                "stimulus_id": "simulated",
                "server_id": self.name,
            }
        )
        answer = await self._comm.read()
        assert answer["status"] == "OK", answer
        self._stream = BatchedSend(interval="2ms", loop=self._server.loop)
        self._stream.start(self._comm)
        send_promptly(self._stream)
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, asyncio.CancelledError):
            while True:
                for message in await self._comm.read():
                    if message["op"] != "compute-task":
                        continue
                    now = time.monotonic()
                    if now > self._free_at:
                        self.gaps.append((self._free_at, now))
                    # Log-normal with a shape of 0.5: a long tail, as tiles have.
                    seconds = self._mean_s / self.speed * self._random.lognormvariate(-0.125, 0.5)
                    self._free_at = max(now, self._free_at) + seconds
                    loop.call_later(self._free_at - now, self._finish, message["key"], message["run_id"], seconds)

    def _finish(self, key: str, run_id: int, seconds: float) -> None:
        self.done += 1
        now = time.time()
        self._stream.send(
            {
                "op": "task-finished",
                "status": "OK",
                "key": key,
                "run_id": run_id,
                "nbytes": 16,
                "type": TYPE,
                "typename": "NoneType",
                "metadata": {},
                "thread": 1,
                "startstops": ({"action": "compute", "start": now - seconds, "stop": now},),
                "stimulus_id": f"task-finished-{now}",
            }
        )

    async def _get_data(self, comm: Any, keys: Any = (), **_: Any) -> Status:
        await comm.write({"status": "OK", "data": {key: Serialize(None) for key in keys}})
        await comm.read()
        return Status.dont_reply

    async def stop(self) -> None:
        self._reader.cancel()
        await self._stream.close()
        await self._server.close()


@dataclass
class Simulated:
    """What a simulation gave.

    ``cpu_ms_per_task`` is the processor time of the whole process. ``idle`` is the share of the workers' time, while tasks waited to be handed out, in which they had none;
    ``idle_at_first`` is what of it was before a worker's first task. ``ideal_s`` is how long the work takes when it is spread to the last second.
    """

    workers: int
    tasks: int
    mean_s: float
    wall_s: float
    ideal_s: float
    cpu_ms_per_task: float
    tasks_per_s: float
    idle: float
    idle_at_first: float
    tasks_per_graph: float


def simulate(workers: int = 1000, tasks: int = 5000, mean_s: float = 4.0, seed: int = 1) -> Simulated:
    """Run ``tasks`` pieces over ``workers`` simulated browsers of three speeds."""
    with wg.Cluster() as cluster:
        crowd = [SimulatedWorker(i, mean_s, seed + i) for i in range(workers)]

        async def start() -> None:
            scheduler = cluster._room.scheduler
            assert scheduler is not None
            for one in crowd:
                await one.start(cluster._room.address)
                # As the room does for its own workers.
                send_promptly(scheduler.stream_comms[one.member.address])

        async def stop() -> None:
            await asyncio.gather(*(one.stop() for one in crowd))

        cluster._room.call(start(), timeout=300)
        members = [one.member for one in crowd]
        seen = SimpleNamespace(
            _roster=SimpleNamespace(present=lambda _state=None: members),
            # What a real worker holds is looked up in this process; a simulated one holds nothing.
            _room=SimpleNamespace(
                scheduler=cluster._room.scheduler,
                soon=cluster._room.soon,
                values=lambda futures, _client: [None] * len(futures),
            ),
            _listeners=cluster._listeners,
            _open=cluster._open,
            client=cluster.client,
        )
        flow = Flow(seen, work)  # type: ignore[arg-type]
        flow.overdue = float("inf")
        cpu, began = time.process_time(), time.monotonic()
        flow.run([Piece(i, ()) for i in range(tasks)], lambda *_: None)
        ended, cpu_s = time.monotonic(), time.process_time() - cpu
        cluster._room.call(stop(), timeout=60)
        assert sum(one.done for one in crowd) == tasks
        until = flow.all_handed_out_at
        gaps = [[max(0.0, min(end, until) - max(start, began)) for start, end in one.gaps] for one in crowd]
        all_s = workers * (until - began)
        return Simulated(
            workers=workers,
            tasks=tasks,
            mean_s=mean_s,
            wall_s=ended - began,
            ideal_s=tasks * mean_s / sum(one.speed for one in crowd),
            cpu_ms_per_task=1000 * cpu_s / tasks,
            tasks_per_s=tasks / (ended - began),
            idle=sum(map(sum, gaps)) / all_s,
            idle_at_first=sum(own[0] for own in gaps if own) / all_s,
            tasks_per_graph=tasks / flow.graphs,
        )


if __name__ == "__main__":
    logging.getLogger("distributed").setLevel(logging.ERROR)
    numbers: list[Any] = [kind(value) for kind, value in zip((int, int, float), sys.argv[1:], strict=False)]
    print(json.dumps(asdict(simulate(*numbers))))
