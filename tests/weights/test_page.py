"""What happens to the page: reloads, a full storage, damaged files, no worker; with a browser that the test steers."""

from __future__ import annotations

import shutil
import time

import pytest

import webgpu_widget as wg
from webgpu_widget.link.transports._chromium import find_browser

from .conftest import same

pytestmark = pytest.mark.playwright

CHUNK = 16 * 1024
QUICK = {"progress": False, "chunk_bytes": CHUNK}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A Chromium with a profile on disk: storage in memory has other limits."""
    from playwright.sync_api import sync_playwright

    profile = tmp_path_factory.mktemp("profile")
    flags = ["--no-sandbox", "--enable-unsafe-webgpu"]
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(profile, executable_path=find_browser(), args=flags)
        yield context
        context.close()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture
def page_gpu(browser):
    made = wg.GPU(transport="page")
    page = browser.new_page()
    page.goto(made.url)
    made.ready(timeout=60)
    wg.cache.clear(gpu=made)
    yield made, page
    page.close()
    made.close()


def wait_until(condition, page):
    """Playwright's messages are dealt with in this thread only."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def reload(made, page):
    generation = made._device.queue.generation
    page.reload()
    wait_until(lambda: made._device.queue.generation > generation and made._device.connection.connected, page)
    while True:
        try:
            return made.ready(timeout=30)
        except wg.FrontendLostError:  # the old page's farewell came late
            page.wait_for_timeout(20)


def test_a_reloaded_page_goes_on_where_it_was(page_gpu, server, served, model):
    made, page = page_gpu
    url, data = served
    server.faults.bytes_per_second = 200_000
    weights = wg.load_weights(url, made, **QUICK)
    weights.wait(0, timeout=30)
    sent_before = weights.progress.bytes_moved
    generation = made._device.queue.generation
    page.reload()
    server.faults.bytes_per_second = 0
    wait_until(lambda: made._device.queue.generation > generation, page)
    same(weights, model)
    weights.wait(timeout=30)
    assert weights.report.bytes_from_cache >= sent_before - 2 * CHUNK
    assert weights.report.bytes_moved < len(data) + 4 * CHUNK
    weights.cancel()


@pytest.mark.parametrize("quota_bytes", [1000, 1_300_000])
def test_a_full_storage_is_no_error(page_gpu, served, model, quota_bytes):
    made, page = page_gpu
    url, _ = served
    session = page.context.new_cdp_session(page)
    origin = page.evaluate("location.origin")
    session.send("Storage.overrideQuotaForOrigin", {"origin": origin, "quotaSize": quota_bytes})
    try:
        with wg.load_weights(url, made, **QUICK) as weights:
            same(weights, model)
            weights.wait(timeout=30)
            assert any("wg.cache.clear()" in warning for warning in weights.report.warnings)
        assert not any(entry.complete for entry in wg.cache.list(gpu=made))
    finally:
        session.send("Storage.overrideQuotaForOrigin", {"origin": origin})


DAMAGE = """async (how) => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("webgpu_widget-weights");
  let count = 0;
  for await (const [, folder] of root.entries())
    for await (const [name, handle] of folder.entries()) {
      if (name === "meta.json" || ++count % 3) continue;
      const bytes = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      bytes[bytes.length >> 1] ^= 1;
      const stream = await handle.createWritable();
      await stream.write(how === "flip" ? bytes : bytes.subarray(1));
      await stream.close();
    }
  return count;
}"""


@pytest.mark.parametrize("how", ["flip", "shorten"])
def test_damaged_chunks_are_fetched_again(page_gpu, served, model, how):
    made, page = page_gpu
    url, data = served
    with wg.load_weights(url, made, **QUICK) as weights:
        weights.wait(timeout=30)
    count = page.evaluate(DAMAGE, how)
    with wg.load_weights(url, made, **QUICK) as weights:
        same(weights, model)
        weights.wait(timeout=30)
        assert 0 < weights.report.bytes_moved <= (count // 3) * CHUNK
        assert weights.report.bytes_from_cache + weights.report.bytes_moved == len(data)
    page.evaluate(DAMAGE, how)
    report = wg.cache.verify(gpu=made)
    assert not report
    assert len(report.bad) == count // 3
    assert wg.cache.verify(gpu=made), "what was bad has been dropped"


def test_without_a_worker(page_gpu, served, model):
    made, page = page_gpu
    url, data = served
    page.add_init_script("delete globalThis.Worker")
    reload(made, page)
    for moved in (len(data), 0):
        with wg.load_weights(url, made, **QUICK) as weights:
            same(weights, model)
            weights.wait(timeout=30)
            assert weights.report.bytes_moved == moved


def test_without_storage(page_gpu, served, model):
    made, page = page_gpu
    url, data = served
    page.add_init_script(
        "delete globalThis.Worker; StorageManager.prototype.getDirectory = () => Promise.reject(new Error('no'))"
    )
    reload(made, page)
    with wg.load_weights(url, made, **QUICK) as weights:
        same(weights, model)
        weights.wait(timeout=30)
        assert weights.report.bytes_moved == len(data)
        assert "without the browser's cache" in weights.report.warnings[0]


def test_two_tabs_of_one_site_share_the_cache(page_gpu, browser, server, served, model):
    made, _ = page_gpu
    url, _ = served
    other = wg.GPU(transport="page")
    second = browser.new_page()
    second.goto(other.url)
    other.ready(timeout=60)
    server.faults.bytes_per_second = 1_000_000
    loads = [wg.load_weights(url, gpu, **QUICK) for gpu in (made, other)]
    for weights in loads:
        weights.wait(timeout=30)
        same(weights, model)
        weights.cancel()
    assert wg.cache.verify(gpu=made)
    with wg.load_weights(url, other, **QUICK) as weights:
        same(weights, model)
        assert weights.report.bytes_moved == 0
    second.close()
    other.close()


COUNT_DIGESTS = """() => {
  const digest = crypto.subtle.digest.bind(crypto.subtle);
  globalThis.digests = 0;
  crypto.subtle.digest = (...given) => { globalThis.digests++; return digest(...given); };
}"""


@pytest.mark.parametrize("cache", [False, True])
def test_chunks_are_hashed_beside_the_thread_that_moves_them(page_gpu, served, model, cache):
    made, page = page_gpu
    url, data = served
    wg.load_weights(url, made, **QUICK).cancel()  # starts the workers
    wait_until(lambda: len(page.workers) >= 2, page)
    page.wait_for_timeout(1500)  # the hashers say that they live
    for worker in page.workers:
        worker.evaluate(COUNT_DIGESTS)
    weights = wg.load_weights(url, made, cache=cache, **QUICK)
    same(weights, model)
    weights.wait(timeout=30)
    counts = sorted(worker.evaluate("() => globalThis.digests") for worker in page.workers)
    assert counts[0] == 0  # the loader's own thread
    assert sum(counts) >= 2 * (len(data) // CHUNK)  # a block and the tree of each chunk
    weights.cancel()


def test_all_workers_read_from_the_cache(page_gpu, served, model):
    made, page = page_gpu
    url, data = served
    with wg.load_weights(url, made, **QUICK) as weights:
        weights.wait(timeout=30)
    page.wait_for_timeout(1500)  # the hashers say that they live
    for worker in page.workers:
        worker.evaluate(COUNT_DIGESTS)
    with wg.load_weights(url, made, **QUICK) as weights:
        same(weights, model)
        weights.wait(timeout=30)
        assert weights.report.bytes_from_cache == len(data)
    counts = [worker.evaluate("() => globalThis.digests") for worker in page.workers]
    assert min(counts) > 0
    assert sum(counts) == 2 * -(-len(data) // CHUNK)  # a block and the tree of each chunk, each once
