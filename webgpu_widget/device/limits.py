"""What every adapter takes: WebGPU's default limits, which hold without asking the adapter for its own."""

__all__ = ["SAFE_BINDING_BYTES", "SAFE_BUFFER_BYTES", "SAFE_WORKGROUPS"]

SAFE_BINDING_BYTES = 128 * 1024 * 1024
"""``maxStorageBufferBindingSize``: bytes that a kernel binds of one buffer."""
SAFE_BUFFER_BYTES = 256 * 1024 * 1024
"""``maxBufferSize``."""
SAFE_WORKGROUPS = 65535
"""``maxComputeWorkgroupsPerDimension``."""
