"""A GPU with little memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import devtools
import pytest
from processes import browser

import webgpu_widget as wg

_PREPARE = """(() => {
  const device = GPUDevice.prototype, buffer = GPUBuffer.prototype;
  const { createBuffer, pushErrorScope, popErrorScope } = device, { destroy } = buffer;
  const scarce = (globalThis.scarce = { used: 0, limit: Infinity });
  const sizes = new WeakMap(), scopes = [];
  device.pushErrorScope = function (filter) {
    scopes.push({ filter, error: null });
    return pushErrorScope.call(this, filter);
  };
  device.popErrorScope = function () {
    const scope = scopes.pop(), popped = popErrorScope.call(this);
    return scope?.error ? popped.then(() => scope.error) : popped;
  };
  device.createBuffer = function (wanted) {
    if (!(wanted.usage & GPUBufferUsage.STORAGE)) return createBuffer.call(this, wanted);
    if (scarce.used + wanted.size <= scarce.limit) {
      const made = createBuffer.call(this, wanted);
      scarce.used += wanted.size;
      sizes.set(made, wanted.size);
      return made;
    }
    const error = new GPUOutOfMemoryError("the test's GPU has no more");
    const scope = scopes.findLast((one) => one.filter === "out-of-memory");
    if (scope) scope.error ??= error;
    else this.dispatchEvent(new GPUUncapturedErrorEvent("uncapturederror", { error }));
    pushErrorScope.call(this, "validation"); // what WebGPU returns then is an invalid buffer
    const invalid = createBuffer.call(this, { ...wanted, usage: 0 });
    popErrorScope.call(this);
    return invalid;
  };
  buffer.destroy = function () {
    scarce.used -= sizes.get(this) ?? 0;
    sizes.delete(this);
    return destroy.call(this);
  };
})()"""


class Scarce:
    """A GPU whose page counts the bytes of its storage buffers, and has no more than ``limit_bytes``."""

    def __init__(self, gpu: wg.GPU) -> None:
        self.gpu, self.limit_bytes = gpu, float("inf")
        self._ask(_PREPARE)

    def _ask(self, expression: str) -> Any:
        said = devtools.evaluate(browser(self.gpu), expression)
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    @property
    def used(self) -> int:
        """Bytes that there are."""
        return int(self._ask("scarce.used"))

    def wait_for(self, most: int) -> None:
        """Wait until there are so many bytes at most: what a load had begun in the page, it lets go of in its own time."""
        end = time.monotonic() + 20
        while self.used > most:
            assert time.monotonic() < end, f"{self.used} bytes, where {most} are waited for"
            self.gpu.synchronize()
            time.sleep(0.05)

    def limit(self, size_bytes: int | None) -> None:
        """Have no more than so much; None: as much as there is."""
        self.limit_bytes = float("inf") if size_bytes is None else size_bytes
        self._ask(f"scarce.limit = {'Infinity' if size_bytes is None else size_bytes}")


@contextmanager
def scarce_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scarce]:
    """A GPU in a browser of its own."""
    monkeypatch.setenv("WEBGPU_WIDGET_BROWSER_FLAGS", devtools.FLAG)
    gpu = wg.GPU(transport="headless")
    try:
        gpu.ready(timeout=60)
        yield Scarce(gpu)
    finally:
        gpu.close()
