#!/usr/bin/env bash
# JupyterLab: "Run All Cells" calls itself over at the first cell that raises, also when that cell is tagged
# raises-exception and all others go on. The command's promise is kept then (with false, as for a failure), the signal
# NotebookActions.selectionExecuted is sent, and each cell that has not run yet loses its [*]: it looks as if it were not
# waiting, though the kernel runs it a moment later and its number and output appear. The kernel's status is no help:
# it is idle between two cells.
# Whom it hurts: extensions, galata and Playwright scripts and kiosks that wait for the command before they save, print,
# screenshot or test the notebook; and readers of a long notebook, who see cells without [*] that are still to come.
# Expected: the promise kept when the last cell has ended. The tag asks the kernel to go on (stop_on_error is false),
# and JupyterLab sends all requests at once; but the replies are gathered by Promise.all, which ends at the first error.
# What helps: wait until each code cell has a number (model.executionCount), which comes with its reply.
# Seen with jupyterlab 4.6.6, ipykernel 7.4.0 and playwright 1.65.2 from PyPI, Debian's chromium
# 156.0.8078.114-1~deb12u1, Python 3.11, on 2026-11-30.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! dpkg -s chromium >/dev/null 2>&1; then
  echo "installing Debian's chromium with apt-get"
  apt-get update -qq && apt-get install -y -qq chromium >/dev/null
fi
dpkg-query -W -f '${Package} ${Version}\n' chromium
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq 'jupyterlab==4.6.6' 'ipykernel==7.4.0' 'playwright==1.65.2'
export JUPYTER_CONFIG_DIR="$folder/config" JUPYTER_DATA_DIR="$folder/data" JUPYTER_RUNTIME_DIR="$folder/runtime"
export IPYTHONDIR="$folder/ipython" JUPYTERLAB_WORKSPACES_DIR="$folder/workspaces" JUPYTERLAB_SETTINGS_DIR="$folder/settings"
mkdir "$folder/notebooks"
cd "$folder"
cat > watch.py <<'PYTHON'
import json, pathlib, shutil, socket, subprocess, sys, time, urllib.request
from importlib.metadata import version
from playwright.sync_api import sync_playwright

print(" | ".join(f"{name} {version(name)}" for name in ("jupyterlab", "ipykernel", "playwright")))
SOURCES = ["1 / 0", "import time; time.sleep(3)", "time.sleep(3); print('the end')"]
STATE = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
  (cell) => [cell.model.executionCount, cell.promptNode ? cell.promptNode.innerText : cell.inputArea.promptNode.innerText])"""


def notebook(tagged):
    cells = [
        {"cell_type": "code", "id": f"c{k}", "metadata": {"tags": ["raises-exception"]} if tagged and k == 0 else {},
         "execution_count": None, "outputs": [], "source": source}
        for k, source in enumerate(SOURCES if tagged else ["1", *SOURCES[1:]])
    ]
    spec = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": cells, "metadata": spec, "nbformat": 4, "nbformat_minor": 5})


def run(context, port, name):
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{port}/lab/workspaces/{name}/tree/{name}.ipynb?token=t", wait_until="domcontentloaded")
    status = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
    page.wait_for_function(f"() => {status}", timeout=120_000)
    page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    at_its_end = page.evaluate(STATE)
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.content.widgets.every((cell) => cell.model.executionCount !== null)", timeout=120_000
    )
    in_the_end = [count for count, _ in page.evaluate(STATE)]
    print(f"{name}: numbers and prompts when the command had ended: {at_its_end}; numbers in the end: {in_the_end}")
    page.close()
    return at_its_end, in_the_end


def main():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("plain", "tagged"):
        pathlib.Path("notebooks", f"{name}.ipynb").write_text(notebook(name == "tagged"))
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token=t",
               "--ServerApp.root_dir=notebooks", "--LabApp.expose_app_in_browser=True"]
    with open("lab.log", "wb") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyterlab", *options], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < end, pathlib.Path("lab.log").read_text()[-2000:]
                time.sleep(0.3)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            context = browser.new_context()
            plain = run(context, port, "plain")
            tagged = run(context, port, "tagged")
            browser.close()
    finally:
        server.terminate()
        server.wait(30)
    early = [count for count, _ in tagged[0]] == [1, None, None] and not any("*" in prompt for _, prompt in tagged[0])
    as_seen = [count for count, _ in plain[0]] == plain[1] == [1, 2, 3] and early and tagged[1] == [1, 2, 3]
    print("expected: the same numbers at both times;", "seen: as described" if as_seen else "THE BEHAVIOUR HAS CHANGED")
    return not as_seen


sys.exit(main())
PYTHON
"$folder/venv/bin/python" watch.py

# Output seen:
# chromium 156.0.8078.114-1~deb12u1
# jupyterlab 4.6.6 | ipykernel 7.4.0 | playwright 1.65.2
# plain: numbers and prompts when the command had ended: [[1, '[1]:'], [2, '[2]:'], [3, '[3]:']]; numbers in the end: [1, 2, 3]
# tagged: numbers and prompts when the command had ended: [[1, '[1]:'], [None, '[ ]:'], [None, '[ ]:']]; numbers in the end: [1, 2, 3]
# expected: the same numbers at both times; seen: as described
