"""A GPU whose queue only writes down what it is told."""

from __future__ import annotations

import itertools
import types


class FakeBuffer:
    def __init__(self, queue, handle, size_bytes):
        self.queue, self.handle, self.size_bytes, self.freed, self.generation = queue, handle, size_bytes, False, 0
        self.pinned = False
        queue.live += size_bytes
        queue.peak = max(queue.peak, queue.live)

    def free(self):
        if not self.freed:
            self.freed = True
            self.queue.live -= self.size_bytes

    def __del__(self):
        self.free()


class FakeQueue:
    # The arguments are those of the real one.
    recording = False
    _recording = None
    generation = composing = 0

    def __init__(self):
        self.handles = itertools.count()
        self.live = self.peak = 0
        self.sources, self.dispatched = [], []

    def begin(self):
        pass

    def alloc(self, size_bytes, label=""):
        return FakeBuffer(self, next(self.handles), max(4, size_bytes))

    def write(self, buffer, data, offset=0, timeout=30.0):
        assert memoryview(data).nbytes == buffer.size_bytes

    def clear(self, buffer, offset=0, size_bytes=None):
        pass

    def pipeline(self, source, label="", entry_point=None, constants=None):
        self.sources.append(source)
        return len(self.sources) - 1

    def dispatch(self, pipeline, args, workgroups):
        written = [v for g, _, v in args if g == 0]
        assert not any(b.freed for b in written), "a kernel was given memory that had been freed"
        assert len({id(b) for b in written}) == len(written), "a kernel was given one buffer twice"
        self.dispatched.append((pipeline, args, workgroups))

    def dispatch_whole(self, pipeline, buffers, uniform, workgroups):
        args = [(0, i, buffer) for i, buffer in enumerate(buffers)]
        self.dispatch(pipeline, [*args, (1, 0, uniform)] if uniform else args, workgroups)


class FakeDevice:
    closed = False
    closed_because = "this GPU is closed"
    known = None
    runtime = None
    info = types.SimpleNamespace(limits={"maxBufferSize": 2**31})

    def __init__(self):
        self.queue = FakeQueue()

    def before_count(self, callback):
        pass
