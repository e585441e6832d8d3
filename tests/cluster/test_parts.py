"""What needs no browser: tiles, estimates, checks, the grid, and the scheduler under a crowd."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import pathlib
from types import SimpleNamespace

import numpy as np
import pytest
from distributed.batched import BatchedSend
from distributed.comm import Comm, CommClosedError, connect, listen
from numpy.random import Generator
from numpy.typing import NDArray

from webgpu_widget.cluster import mandelbrot, matmul, rates, views
from webgpu_widget.cluster.dask import GarbageError, send_promptly
from webgpu_widget.cluster.exchange import Block, Exchange
from webgpu_widget.mandelbrot.view import make_view

pytestmark = pytest.mark.no_adapter


def steps_of_f32(c: NDArray[np.complex128], max_iter: int) -> NDArray[np.float64]:
    """Return the steps that a GPU takes: until an orbit leaves, or meets the one that Brent's test holds; none in the cardioid and the disc."""
    points = c.ravel().astype(np.complex64)
    steps = np.zeros(points.size)
    x, y2 = c.ravel().real - 0.25, c.ravel().imag ** 2
    q = x * x + y2
    left = np.flatnonzero((q * (q + x) >= 0.25 * y2) & ((c.ravel().real + 1) ** 2 + y2 >= 0.0625))
    z = held = np.zeros(left.size, np.complex64)
    for n in range(1, max_iter + 1):
        z = z * z + points[left]
        steps[left] = n
        stays = (np.abs(z) <= 2) & (z != held)
        left, z, held = left[stays], z[stays], held[stays]
        if n & (n - 1) == 0:
            held = z
    return steps.reshape(c.shape)


@pytest.mark.parametrize(("center", "width"), [((-0.5, 0), 4), ((-0.748, 0.0633), 1.3e-2)])
def test_estimates_tell_dear_tiles_from_cheap_ones(center: tuple[float, float], width: float) -> None:
    view = make_view(center, width, (128, 96), 3000)
    parts = mandelbrot.tiles(view.size, 16)
    estimates = mandelbrot.costs(view, parts)
    steps = steps_of_f32(mandelbrot.points(view, np.arange(128), np.arange(96)), 3000)
    true = np.array([steps[part.where].sum() for part in parts])
    assert np.corrcoef(estimates, true)[0, 1] > 0.9
    assert (estimates > 0).all()


def test_estimates_of_a_large_picture_take_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first tile waits for: as many points, whatever the size."""
    points: list[int] = []
    effort = mandelbrot.effort
    monkeypatch.setattr(mandelbrot, "effort", lambda c, n: (points.append(c.size), effort(c, n))[1])
    for size in ((256, 192), (16384, 12288)):
        view = make_view(-0.5, 4, size, 1000)
        parts = mandelbrot.tiles(size, 256)
        mandelbrot.costs(view, parts)
    assert max(points) <= 4 * len(parts)
    assert points[0] >= 256


def test_cheap_tiles_go_together_and_dear_ones_alone() -> None:
    rng = np.random.default_rng(seed := int(np.random.SeedSequence().generate_state(1)[0]))
    estimates = rng.lognormal(0, 2, 200)
    for browsers in (1, 8):
        made = mandelbrot.bundles(estimates, browsers)
        sums = np.array([estimates[bundle].sum() for bundle in made])
        most = estimates.sum() / (24 * browsers)
        assert sorted(index for bundle in made for index in bundle) == list(range(200)), seed
        assert all(len(bundle) <= 8 for bundle in made), seed
        assert all(cost <= most * 1.001 or len(bundle) == 1 for cost, bundle in zip(sums, made, strict=True)), seed
        assert made[0] == [int(np.argmax(estimates))], seed
        assert len(made) < 200 or browsers > 1, seed
    sizes = [len(bundle) for bundle in mandelbrot.bundles(np.ones(96), 1)]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes.count(4), sizes[-1], sum(sizes)) == (4, 20, 1, 96)
    assert len(mandelbrot.bundles(np.ones(12), 2)) == 12


def test_effort_of_orbits_that_cannot_be_followed() -> None:
    c = np.array([-2, 2, 1e200, 0, -1, -0.1226 + 0.7449j, 0.25 + 1e-9], complex)
    steps = mandelbrot.effort(c, 100_000)
    assert steps[1] < 10
    assert steps[2] < 10
    assert steps[3] == steps[4] == 0
    assert 512 < steps[5] < 1000
    assert (steps <= 100_000).all()


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (13, 200)])
def test_small_and_deep_views_have_estimates_too(size: tuple[int, int]) -> None:
    for width in ("3", "1e-30"):
        view = make_view(-0.5, width, size, 50)
        parts = mandelbrot.tiles(size, 4)
        estimates = mandelbrot.costs(view, parts)
        assert estimates.shape == (len(parts),)
        assert (estimates > 0).all()


def test_points_are_those_of_the_view() -> None:
    view = make_view(("-0.7", "0.2"), "0.5", (7, 5), 10)
    made = mandelbrot.points(view, np.array([0, 6]), np.array([4]))
    for column, c in zip((0, 6), made[0], strict=True):
        re, im = view.pixel(column, 4)
        assert abs(c - complex(re, im)) < 1e-15


def test_counts_are_first_escapes() -> None:
    assert mandelbrot.count(np.array([[0, 3, 1, -2, 0.5]], complex), 10).tolist() == [[10, 1, 3, 10, 5]]


def test_tiles_cover_a_picture_once() -> None:
    seen = np.zeros((50, 70), int)
    for part in mandelbrot.tiles((70, 50), 16):
        seen[part.where] += 1
    assert (seen == 1).all()


def test_a_tile_that_cannot_be_right_is_refused() -> None:
    view = make_view(0, 4, (16, 16), 60)
    part = mandelbrot.tiles(view.size, 16)[0]
    counts = mandelbrot.count(mandelbrot.points(view, np.arange(16), np.arange(16)), 60).astype(np.uint32)
    smooth = np.where(counts == 60, np.nan, counts + 2.5).astype(np.float32)
    mandelbrot.check_tile(view, part, counts, smooth)
    for spoilt, values, said in (
        (counts + 60, smooth, "out of"),
        (counts * 0, smooth, "out of"),
        (counts, smooth + np.float32(np.nan), "do not fit"),
        (counts, np.where(np.isnan(smooth), np.inf, smooth).astype(np.float32), "do not fit"),
        (counts[::-1, ::-1].copy() % 50 + 9, np.zeros_like(smooth), "contradict"),
    ):
        with pytest.raises(GarbageError, match=said):
            mandelbrot.check_tile(view, part, spoilt.astype(np.uint32), values)


def test_a_wrong_block_is_found_and_a_right_one_is_not(rng: Generator) -> None:
    a, b = rng.standard_normal((96, 700), np.float32), rng.standard_normal((700, 64), np.float32)
    check = matmul.Check(a, b, 32)
    right = (a[32:64].astype(float) @ b[:, :32]).astype(np.float32)
    check(1, 0, right)
    check(1, 0, a[32:64] @ b[:, :32])
    for spoil in (
        lambda c: c * np.float32(1.01),
        lambda c: np.where(np.arange(32) == 5, np.float32(np.nan), c),
        np.zeros_like,
        lambda c: c[::-1],
    ):
        with pytest.raises(GarbageError, match=r"block \(1, 0\)"):
            check(1, 0, spoil(right))


def test_operands_are_read_for_the_check_once_and_not_for_each_block(
    rng: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = rng.standard_normal((96, 40), np.float32), rng.standard_normal((40, 128), np.float32)
    read: list[int] = []
    times = matmul._times
    monkeypatch.setattr(matmul, "_times", lambda x, *more: (read.append(x.size), times(x, *more))[1])
    check = matmul.Check(a, b, 32)
    right = (a.astype(float) @ b).astype(np.float32)
    for i in range(3):
        for j in rng.permutation(4).tolist():
            block = right[32 * i : 32 * i + 32, 32 * j : 32 * j + 32]
            check(i, j, block)
            with pytest.raises(GarbageError, match=rf"\({i}, {j}\) of a product is wrong in"):
                check(i, j, block * np.float32(1.5))
    # The first row of blocks meets the four columns one by one; the others know them all.
    assert sum(read) == b.size + a.size // 3 * (4 + 1 + 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (4, 4), (16, 16), (5, 33)])
@pytest.mark.parametrize("browsers", [0, 1, 2, 9])
def test_blocks_of_a_row_go_together_where_each_browser_has_many(shape: tuple[int, int], browsers: int) -> None:
    rows, columns = shape
    made = matmul.bundles(rows, columns, [False] * browsers)
    assert sorted(cell for some in made for cell in some) == [(i, j) for i in range(rows) for j in range(columns)]
    assert all(len({i for i, _ in some}) == 1 for some in made)
    assert len(made) >= min(rows * columns, 6 * max(browsers, 1))
    assert len(made) <= max(2 * 6 * max(browsers, 1), 2 * rows)
    # What takes a CPU long is told, and lost, block by block.
    assert matmul.bundles(rows, columns, [*[False] * browsers, True]) == [
        [(i, j)] for i in range(rows) for j in range(columns)
    ]


def test_tiles_are_larger_where_few_gpus_share_a_picture() -> None:
    side = mandelbrot.side_for
    assert side((4096, 3072), [False]) == 640
    assert side((4096, 3072), [False] * 8) == 256
    assert side((65536, 65536), [False]) == 1024
    assert side((640, 480), [False]) == 256
    for members in ([True], [False, True], []):
        assert side((4096, 3072), members) == 256


@pytest.mark.parametrize("way", ["auto", "peer", "hub"])
def test_a_block_is_kept_to_be_passed_on_only_where_somebody_may_want_it(
    rng: Generator, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    kept: list[str] = []
    made = SimpleNamespace(_memory=SimpleNamespace(generation=0))
    first, second = (
        SimpleNamespace(
            id=name,
            gpu=SimpleNamespace(array=lambda values: made),
            device=SimpleNamespace(generation=0, queue=SimpleNamespace(flush=lambda: None)),
        )
        for name in ("first", "second")
    )
    monkeypatch.setattr(Exchange, "_put", staticmethod(lambda block, member: (kept.append(member.id), made)[1]))
    exchange = Exchange(way, ())
    values = rng.standard_normal((4, 3), np.float32)
    for number, members in enumerate(([first], [first, second], [second, first], [first])):
        exchange.present = lambda members=members: members  # type: ignore[misc]
        assert exchange.get(Block(f"block {number}", values), first) is made  # type: ignore[arg-type, comparison-overlap]
    assert kept == ([] if way == "hub" else ["first"] * 2)
    assert (exchange.traffic["hub"].transfers, exchange.traffic["hub"].bytes) == (4, 4 * values.nbytes)


def test_rows_with_an_infinite_operand_are_not_judged(rng: Generator) -> None:
    a, b = rng.standard_normal((8, 5), np.float32), rng.standard_normal((5, 8), np.float32)
    a[3, 2] = np.inf
    check = matmul.Check(a, b, 8)
    with np.errstate(invalid="ignore"):
        right = a @ b
    check(0, 0, right)
    right[4, 1] += 100
    with pytest.raises(GarbageError, match="in 1 rows"):
        check(0, 0, right)


def test_the_hubs_rate_is_of_all_transfers_together(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(rates.time, "monotonic", lambda: now[0])
    rate = rates.HubRate()
    size = 8 << 20
    assert rate.seconds_for(size) == pytest.approx(size / 3e8)
    for _ in range(40):
        for _ in range(4):
            rate.begin(size)
        assert rate.seconds_for(size) > 4 * size / 3e8
        # Side by side: each takes the whole time.
        now[0] += 4 * size / 1e8
        for _ in range(4):
            rate.end(size, ok=True)
        now[0] += 1000
    assert rate.seconds_for(size) == pytest.approx(size / 1e8, rel=0.01)
    # Short ones tell nothing.
    rate.begin(100)
    now[0] += 10
    rate.end(100, ok=True)
    assert rate.seconds_for(size) == pytest.approx(size / 1e8, rel=0.01)


@pytest.mark.parametrize(("n", "shape"), [(1, (1, 1)), (4, (2, 2)), (7, (1, 7)), (8, (2, 4)), (12, (3, 4))])
def test_the_grid_is_as_square_as_can_be(n: int, shape: tuple[int, int]) -> None:
    assert matmul.grid(n) == shape


def test_sizes_are_readable() -> None:
    assert [views.size_text(n) for n in (0, 1000, 1536, 5 << 20, 3000 << 20)] == [
        "0 B",
        "1000 B",
        "1.5 KiB",
        "5.0 MiB",
        "3000 MiB",
    ]


def test_messages_within_the_process_wait_for_no_more() -> None:
    """All of one round of the loop go together and in order; what was sent last arrives before the stream closes."""
    got: list[list[int]] = []

    async def take(comm: Comm) -> None:
        with contextlib.suppress(CommClosedError):
            while True:
                got.append(await comm.read())

    async def exchange_messages() -> None:
        listener = await listen("inproc://", take)
        stream = BatchedSend(interval="1h")
        stream.start(await connect(listener.contact_address))
        stream.send(0)
        await asyncio.sleep(0.01)
        send_promptly(stream)
        for i in (1, 2):
            stream.send(i)
        await asyncio.sleep(0.01)
        assert got == [[0], [1, 2]]
        stream.send(3)
        stream.send(4)
        await stream.close()
        await asyncio.sleep(0.01)
        assert got == [[0], [1, 2], [3, 4]]
        with pytest.raises(CommClosedError):
            stream.send(5)
        listener.stop()

    asyncio.run(exchange_messages())


def test_the_scheduler_keeps_a_crowd_busy() -> None:
    path = pathlib.Path(__file__).parents[2] / "bench" / "cluster_simulation.py"
    spec = importlib.util.spec_from_file_location("cluster_simulation", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = module.simulate(workers=100, tasks=600, mean_s=1.0)
    # Loose, for a machine that does other things too; the figures are in docs/cluster.md.
    assert found.cpu_ms_per_task < 10
    assert found.idle < 0.3
    # Pieces that are taken up one by one would make a graph each.
    assert found.tasks_per_graph > 1.5
