#!/usr/bin/env bash
# Dask distributed: "no dashboard" does not mean "no web server". Scheduler(dashboard=False), Worker(dashboard=False)
# and LocalCluster(dashboard_address=None) each still start an HTTP server beside the port they talk on; it answers
# /health, /metrics, /sitemap.json and static files without asking who calls. The scheduler's is on the dashboard's
# usual port, 8787, if that is free, and LocalCluster(dashboard_address=None).dashboard_link names a dashboard there.
# It listens where the node listens: here each gets host="127.0.0.1"; without a host that is every interface.
# Whom it hurts: who starts clusters in tests, in notebooks or behind a firewall's list of ports, and counts on
# dashboard=False: one more open port a process, "Port 8787 is already in use" warnings from the second cluster on.
# Expected: no HTTP socket, and no dashboard_link. Nothing says so: dashboard=False only leaves out the Bokeh pages.
# What helps: host="127.0.0.1" for each node, dashboard_address="127.0.0.1:0" for a free port; there is no "off".
# Seen with distributed 2026.8.0, dask 2026.8.0, psutil 7.2.2, tornado 6.6.1 from PyPI, Python 3.11, on 2026-11-30.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'distributed==2026.8.0' 'dask==2026.8.0' 'psutil==7.2.2' 'tornado==6.6.1'
cd "$folder"
cat > sockets.py <<'PYTHON'
import asyncio, logging, sys, urllib.request
import distributed, psutil, tornado
from distributed import LocalCluster, Scheduler, Worker

logging.getLogger("distributed").setLevel(logging.ERROR)
print("distributed", distributed.__version__, "| tornado", tornado.version, "| psutil", psutil.__version__)


def listening():
    connections = psutil.Process().net_connections("inet")
    return {(one.laddr.ip, one.laddr.port) for one in connections if one.status == psutil.CONN_LISTEN}


def ask(address):
    codes = []
    for path in ("health", "metrics", "sitemap.json"):
        with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/{path}", timeout=20) as answer:
            codes.append(answer.status)
    return codes


async def report(name, node, before):
    talk = ("127.0.0.1", node.port)
    extra = sorted(listening() - before - {talk})
    codes = [await asyncio.to_thread(ask, address) for address in extra]
    port = "8787 if free" if name.startswith("Scheduler") else "any free port"
    interfaces = sorted({address[0] for address in extra})
    print(f"{name}: sockets beside its own port: {len(extra)}, on {interfaces}, {port}; answers {codes}")
    return len(extra) == 1 and codes == [[200, 200, 200]] and extra[0][1] == node.http_server.port


async def nodes():
    good, before = [], listening()
    async with Scheduler(dashboard=False, host="127.0.0.1", port=0) as scheduler:
        good.append(await report("Scheduler(dashboard=False)", scheduler, before))
        before = listening()
        async with Worker(scheduler.address, dashboard=False, host="127.0.0.1") as worker:
            good.append(await report("Worker(dashboard=False)", worker, before))
    return all(good)


def main():
    as_seen = asyncio.run(nodes())
    before = listening()
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", host="127.0.0.1", dashboard_address=None
    ) as cluster:
        worker = cluster.workers[0]
        extra = listening() - before - {("127.0.0.1", cluster.scheduler.port), ("127.0.0.1", worker.port)}
        link = cluster.dashboard_link
        named = link == f"http://127.0.0.1:{cluster.scheduler.http_server.port}/status"
        print(f"LocalCluster(dashboard_address=None): {len(extra)} such sockets; dashboard_link names one of them: {named}")
        as_seen = as_seen and len(extra) == 2 and named
    print("expected: no such socket;", "seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
    return not as_seen


if __name__ == "__main__":
    sys.exit(main())
PYTHON
"$folder/venv/bin/python" -W ignore::UserWarning sockets.py

# Output seen:
# distributed 2026.8.0 | tornado 6.6.1 | psutil 7.2.2
# Scheduler(dashboard=False): sockets beside its own port: 1, on ['127.0.0.1'], 8787 if free; answers [[200, 200, 200]]
# Worker(dashboard=False): sockets beside its own port: 1, on ['127.0.0.1'], any free port; answers [[200, 200, 200]]
# LocalCluster(dashboard_address=None): 2 such sockets; dashboard_link names one of them: True
# expected: no such socket; seen: as described
