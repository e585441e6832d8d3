"""A cluster of browsers: Dask schedules, browsers compute.

::

    with wg.Cluster() as cluster:
        cluster.launch(2)
        cluster.wait(2)
        product = cluster.matmul(a, b)
"""

from __future__ import annotations

from webgpu_widget.cluster.info import WorkerInfo
from webgpu_widget.cluster.pool import Cluster

__all__ = ["Cluster", "WorkerInfo"]
