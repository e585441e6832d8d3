"""Palettes: names, colours, and the mapping from a count to a colour."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from webgpu_widget.mandelbrot.numbers import ViewError

__all__ = ["ENTRIES", "Histogram", "lookup_table", "names", "palette_colors"]

ENTRIES = 1024
"""Colours of a lookup table."""

_OWN: dict[str, tuple[str, ...]] = {
    "lagoon": ("#04121f", "#0b4f6c", "#01baef", "#fbfbff", "#f4d35e", "#ee964b", "#5f0f40", "#04121f"),
    "ember": ("#0b0500", "#4a0d00", "#b22b00", "#ff8a1f", "#ffe7a0", "#fffaf0", "#8c5a3c", "#0b0500"),
    "night": ("#000764", "#206bcb", "#edffff", "#ffaa00", "#000200", "#000764"),
    "moss": ("#0d1b12", "#2f5d3a", "#a3c585", "#f2efe0", "#c9a66b", "#4a3428", "#0d1b12"),
    "slate": ("#101418", "#3d4a57", "#9fb1bd", "#f5f7f8", "#9fb1bd", "#3d4a57", "#101418"),
}
"""Cyclic palettes of this package: colours at equal distances."""

# 33 samples of matplotlib's colour maps of these names (public domain, CC0), rrggbb.
_MATPLOTLIB: dict[str, str] = {
    "twilight": (
        "e2d9e2d7d7ddc4ced4acc2cc95b5c781a6c37297c16887be6276ba5f64b55e51ad5d3da1592a8f511b7745135c381145"
        "2f14363a113a4a13425f174a741e4f872750983550a64550b25652bb6958c27c63c89073cca389d1b6a3d8c7bedfd4d6"
        "e2d9e2"
    ),
    "twilight_shifted": (
        "30143738114545135c511b77592a8f5d3da15e51ad5f64b56276ba6887be7297c181a6c395b5c7acc2ccc4ced4d7d7dd"
        "e2d9e2dfd4d6d8c7bed1b6a3cca389c89073c27c63bb6958b25652a64550983550872750741e4f5f174a4a13423a113a"
        "2f1436"
    ),
    "viridis": (
        "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e"
        "21918c1f988b1fa08822a78528ae8032b67a3fbc734ec36b5ec96270cf5784d44b98d83eaddc30c2df23d8e219ece51b"
        "fde725"
    ),
    "plasma": (
        "0d08872206903105973f049c4c02a15901a56600a77201a87e03a88a09a59511a1a01a9caa2395b32c8ebc3587c43e7f"
        "cc4778d35171da5a6ae06363e66c5ceb7655f0804ef58b47f89540fba139fdac33feb82cfdc527fcd225f8df25f4ed27"
        "f0f921"
    ),
    "inferno": (
        "0000040403120b0724150b37210c4a2f0a5b3d09654a0c6b57106e64156e71196e7d1e6d8a226a972766a32c61b0315b"
        "bc3754c73e4cd24644db503be45a31eb6628f1731df68013f98e09fb9d07fcac11fbbc21f9cb35f5db4cf2ea69f3f68a"
        "fcffa4"
    ),
    "magma": (
        "0000040303120a0822130d341d114729115a36106b440f7651127c5d177f6a1c81762181832681902a819c2e7faa337d"
        "b73779c43c75d0416fdc4869e75263ef5d5ef56b5cf9795dfc8961fd9869fea772feb67cfec488fed395fde2a3fcf0b2"
        "fcfdbf"
    ),
    "cividis": (
        "00224e00285b002e6a0533711a386f273e6e32436d3b496c434e6c4b546c535a6d5a5f6e61656f686a716f7073767676"
        "7d7c788482798c8878938e789b9476a39a74aba072b4a76fbcae6cc4b468cdbb63d5c25edec958e7d150f0d846f9e03a"
        "fee838"
    ),
    "turbo": (
        "30123b392a734040a24456c7466be34680f64294ff37a8fa28bceb1ccdd818ddc21fe9af32f2984ef97d6dfe628bff4b"
        "a4fc3cb9f635cdec34dfdf37eecf3af8be39fdac34fe962bfb7e21f46617eb500edf3f08d02f05be2102a91601920b01"
        "7a0403"
    ),
    "hot": (
        "0b00002000003500004a00005f00007400008900009e0000b30000c80000dd0000f20000ff0800ff1d00ff3200ff4700"
        "ff5c00ff7100ff8600ff9b00ffb000ffc500ffda00ffef00ffff07ffff26ffff46ffff65ffff85ffffa4ffffc4ffffe3"
        "ffffff"
    ),
    "gray": (
        "000000080808101010181818202020282828303030383838404040484848505050585858606060686868707070787878"
        "808080888888909090989898a0a0a0a8a8a8b0b0b0b8b8b8c0c0c0c8c8c8d0d0d0d8d8d8e0e0e0e8e8e8f0f0f0f8f8f8"
        "ffffff"
    ),
    "bone": (
        "00000007070a0e0e1315151d1c1c272323312a2a3a31314438384e3f3f584646614d4d6b5455745b5f7b626882697289"
        "707b907785977e8f9e8598a58ca2ac93acb39ab5baa1bfc1a9c8c8b4cfcfbfd6d6caddddd5e4e4e0ebebeaf2f2f5f9f9"
        "ffffff"
    ),
    "cubehelix": (
        "0000000c050e150b1d19132d1b1e3b192a4617374d15464e16534c1a6046236a3e3172364477315a7a2f727b328a7a3b"
        "a1794ab5795ec57a76cf7e8fd484a9d48dc1d198d4cca6e4c6b4eec2c3f2c1d1f3c4ddf2cbe8f0d6f0efe3f6f0f2fbf6"
        "ffffff"
    ),
    "hsv": (
        "ff0000ff2f00ff5f00ff8e00ffbd00ffec00e2ff00b3ff0084ff0055ff0025ff0002ff0c00ff3900ff6800ff9700ffc7"
        "00fff600d9ff00aaff007aff004bff001cff1300ff4300ff7200ffa100ffd000fffa00f9ff00cfff00a0ff0071ff0041"
        "ff0018"
    ),
    "Spectral": (
        "9e0142af1446c1274ad23a4edd4a4ce75948f06744f67a49f98e52fba35cfdb567fdc574fed481fee28ffeec9ffff6b0"
        "ffffbef7fcb2eff9a6e7f59ad6ee9bc3e79fb1dfa39cd7a486cfa571c6a55eb9a94ea7b03d95b83682ba4471b2525fa9"
        "5e4fa2"
    ),
    "ocean": (
        "008000007408006810005c18005020004428003830002c38002040001448000850000458001060001d68002870003478"
        "004080004d880058900064980070a0007da81288b02a94b842a0c05aacc872b9d08ac4d8a2d0e0badce8d2e8f0eaf4f8"
        "ffffff"
    ),
}


def names() -> list[str]:
    """Names of the palettes that need nothing installed."""
    return sorted([*_OWN, *_MATPLOTLIB])


def palette_colors(palette: str | Sequence[str]) -> list[str]:
    """Colours of a palette as ``#rrggbb``, at equal distances.

    Parameters
    ----------
    palette : str or sequence of str
        A name of `names`, any colour map of matplotlib where that is installed, or the colours themselves.

    Returns
    -------
    list of str
        At least two colours.

    Raises
    ------
    ViewError
        An unknown name, or a colour that is not ``#rrggbb``.
    """
    if not isinstance(palette, str):
        colors = [str(color).lower() for color in palette] if isinstance(palette, Iterable) else []
        bad = [
            color for color in colors if len(color) != 7 or color[0] != "#" or set(color[1:]) - set("0123456789abcdef")
        ]
        if bad or len(colors) < 2:
            raise ViewError(f"palette is {palette!r:.200}; pass a name, or at least two colours like '#0b4f6c'")
        return colors
    if palette in _OWN:
        return list(_OWN[palette])
    if palette in _MATPLOTLIB:
        text = _MATPLOTLIB[palette]
        return ["#" + text[i : i + 6] for i in range(0, len(text), 6)]
    try:
        import matplotlib as mpl

        samples = mpl.colormaps[palette](np.linspace(0, 1, 65))
    except (ImportError, KeyError):
        raise ViewError(
            f"palette is {palette!r}; known are {', '.join(names())}, and matplotlib's colour maps where it is installed"
        ) from None
    return ["#" + "".join(f"{round(255 * part):02x}" for part in sample[:3]) for sample in samples]


def lookup_table(palette: str | Sequence[str]) -> NDArray[np.float32]:
    """Colours for positions 0 to 1, one cycle.

    Parameters
    ----------
    palette : str or sequence of str
        As in `palette_colors`.

    Returns
    -------
    ndarray of float32, (ENTRIES, 3)
        sRGB, 0 to 1. A palette whose ends differ runs there and back, so that it has no seam.
    """
    colors = palette_colors(palette)
    points = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in colors], np.float32) / 255
    if np.abs(points[0] - points[-1]).max() > 0.1:
        points = np.concatenate([points, points[-2::-1]])
    at = np.arange(ENTRIES) / ENTRIES * (len(points) - 1)
    return np.stack([np.interp(at, np.arange(len(points)), points[:, i]) for i in range(3)], axis=1).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Histogram:
    """How counts are spread over a picture, for colouring by rank.

    The ranks are taken over log(count), in bins that do not depend on the view. Pass the histogram of one picture to another,
    or `blend` two, and colours stay where they are while the view moves.

    Parameters
    ----------
    cumulative : ndarray of float64
        Share of the pixels under each bin's upper end.
    """

    cumulative: NDArray[np.float64]

    BINS = 4096
    TOP_LOG2 = 31.0

    @classmethod
    def of(cls, smooth: NDArray[np.float32]) -> Histogram:
        """Count the escaped pixels of a picture.

        Parameters
        ----------
        smooth : ndarray of float32
            Smooth counts, as `Image.smooth`; NaN is left out.

        Returns
        -------
        Histogram
            Its shares; an even spread where nothing escaped.
        """
        values = smooth[np.isfinite(smooth)]
        counts = np.bincount(cls._bins(values), minlength=cls.BINS).astype(np.float64)
        total = counts.sum()
        return cls(np.cumsum(counts) / total if total else np.linspace(0, 1, cls.BINS))

    @classmethod
    def _position(cls, smooth: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.log2(np.maximum(smooth.astype(np.float64), 0) + 1) * (cls.BINS / cls.TOP_LOG2)

    @classmethod
    def _bins(cls, smooth: NDArray[np.float32]) -> NDArray[np.int64]:
        return np.minimum(cls._position(smooth).astype(np.int64), cls.BINS - 1)

    def rank(self, smooth: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the share of the pixels below each count.

        Parameters
        ----------
        smooth : ndarray of float32
            Smooth counts, as `Image.smooth`.

        Returns
        -------
        ndarray of float64
            0 to 1, of the same shape; NaN stays NaN.
        """
        edges = np.concatenate([[0.0], self.cumulative])
        return np.interp(self._position(smooth), np.arange(self.BINS + 1), edges)

    def blend(self, other: Histogram, part: float) -> Histogram:
        """Move a part of the way to another histogram.

        Parameters
        ----------
        other : Histogram
            Where to.
        part : float
            How far: 0 is this one, 1 the other.
        """
        return Histogram(self.cumulative * (1 - part) + other.cumulative * part)


def positions(
    smooth: NDArray[np.float32],
    *,
    scale: str,
    cycle: float | None,
    offset: float,
    floor: float,
    histogram: Histogram | None,
) -> NDArray[np.float64]:
    """Place of each pixel on the palette, 0 to 1; NaN inside."""
    if histogram is not None:
        ranked: NDArray[np.float64] = np.asarray(
            np.mod(histogram.rank(smooth) * (1.0 if cycle is None else cycle) * 0.999 + offset, 1.0)
        )
        return ranked
    values = np.maximum(smooth.astype(np.float64), 0)
    if scale == "log":
        values, usual = np.log2(np.maximum(values - floor, 0) + 1), 2.0
    elif scale == "sqrt":
        values, usual = np.sqrt(np.maximum(values - floor, 0)), 8.0
    elif scale == "linear":
        usual = 64.0
    else:
        raise ViewError(f"scale is {scale!r}; it must be 'log', 'sqrt' or 'linear'")
    length = usual if cycle is None else float(cycle)
    if not (math.isfinite(length) and length > 0):
        raise ViewError(f"cycle is {cycle!r}; pass a positive number")
    placed: NDArray[np.float64] = np.mod(values / length + offset, 1.0)
    return placed


def colors(at: NDArray[np.float64], table: NDArray[np.float32], inside: str) -> NDArray[np.float32]:
    """Colour of each place, (..., 3); ``inside`` where it is NaN."""
    black = np.array([int(palette_colors([inside, inside])[0][i : i + 2], 16) / 255 for i in (1, 3, 5)], np.float32)
    escaped = np.isfinite(at)
    place = np.where(escaped, at, 0.0) * ENTRIES
    low = place.astype(np.int64)
    part = (place - low)[..., None].astype(np.float32)
    low %= ENTRIES
    shown = table[low] * (1 - part) + table[(low + 1) % ENTRIES] * part
    return np.where(escaped[..., None], shown, black)
