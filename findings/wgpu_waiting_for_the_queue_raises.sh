#!/usr/bin/env bash
# wgpu 0.32.0: the standard way of waiting for submitted work, queue.on_submitted_work_done_sync() and its async twin,
# raises TypeError on every call, on every adapter: the C callback is declared with three arguments, the header that is
# shipped beside it says four (a message came in between), and cffi refuses the one for the other.
# Whom it hurts: whoever times a kernel, or waits before freeing something: the call that WebGPU has for that is not
# usable, and programs written for an older release stop at that line.
# Expected: it returns None once the submitted work is done.
# What helps: read a few bytes back (queue.read_buffer of any buffer waits for all that was submitted before).
# Seen with wgpu 0.32.0 and numpy 2.4.6 from PyPI, Debian's mesa-vulkan-drivers 22.3.6-1+deb12u2 (llvmpipe, a CPU
# driver: no GPU needed), Python 3.11, on 2026-11-30.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! dpkg -s mesa-vulkan-drivers >/dev/null 2>&1; then
  echo "installing Debian's mesa-vulkan-drivers with apt-get"
  apt-get update -qq && apt-get install -y -qq mesa-vulkan-drivers >/dev/null
fi
dpkg-query -W mesa-vulkan-drivers
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'wgpu==0.32.0' 'numpy==2.4.6'
export XDG_RUNTIME_DIR="$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio, pathlib, sys
import numpy as np
import wgpu
import wgpu.backends.wgpu_native

print("wgpu", wgpu.__version__)
adapters = wgpu.gpu.enumerate_adapters_sync()
adapter = next(one for one in adapters if one.info["adapter_type"] == "CPU")
print("adapter:", adapter.info["device"])
device = adapter.request_device_sync()
usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_DST | wgpu.BufferUsage.COPY_SRC
buffer = device.create_buffer_with_data(data=np.arange(64, dtype="f4"), usage=usage)
code = """
@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) { a[i] = 2 * a[i]; }
"""
pipeline = device.create_compute_pipeline(
    layout="auto", compute={"module": device.create_shader_module(code=code), "entry_point": "main"}
)
entries = [{"binding": 0, "resource": {"buffer": buffer, "offset": 0, "size": buffer.size}}]
group = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
encoder = device.create_command_encoder()
compute = encoder.begin_compute_pass()
compute.set_pipeline(pipeline)
compute.set_bind_group(0, group)
compute.dispatch_workgroups(1)
compute.end()
device.queue.submit([encoder.finish()])


async def wait():
    await device.queue.on_submitted_work_done_async()


problems = []
for name, act in (("sync", device.queue.on_submitted_work_done_sync), ("async", lambda: asyncio.run(wait()))):
    try:
        act()
        problems.append(None)
    except Exception as problem:
        problems.append(problem)
    print(f"on_submitted_work_done_{name}:", repr(problems[-1]))
header = pathlib.Path(wgpu.__file__).parent / "resources" / "webgpu.h"
print(*(line for line in header.read_text().splitlines() if "(*WGPUQueueWorkDoneCallback)" in line), sep="\n")
read = np.frombuffer(device.queue.read_buffer(buffer), dtype="f4")
right = np.array_equal(read, 2 * np.arange(64))
print("read_buffer waits, and the numbers are right:", right)
as_seen = right and all(type(one) is TypeError and "WGPUQueueWorkDoneStatus" in str(one) for one in problems)
print("expected: None twice;", "seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
sys.exit(not as_seen)
PYTHON

# Output seen:
# mesa-vulkan-drivers:amd64 22.3.6-1+deb12u2
# wgpu 0.32.0
# adapter: llvmpipe (LLVM 15.0.6, 256 bits)
# on_submitted_work_done_sync: TypeError("initializer for ctype 'void(*)(WGPUQueueWorkDoneStatus, WGPUStringView, void *, void *)' must be a pointer to same type, not cdata 'void(*)(WGPUQueueWorkDoneStatus, void *, void *)'")
# on_submitted_work_done_async: TypeError("initializer for ctype 'void(*)(WGPUQueueWorkDoneStatus, WGPUStringView, void *, void *)' must be a pointer to same type, not cdata 'void(*)(WGPUQueueWorkDoneStatus, void *, void *)'")
# typedef void (*WGPUQueueWorkDoneCallback)(WGPUQueueWorkDoneStatus status, WGPUStringView message, WGPU_NULLABLE void* userdata1, WGPU_NULLABLE void* userdata2) WGPU_FUNCTION_ATTRIBUTE;
# read_buffer waits, and the numbers are right: True
# expected: None twice; seen: as described
