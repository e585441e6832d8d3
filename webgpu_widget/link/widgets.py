"""What widgets and their pages tell each other beside the GPU's session: the state that both hold, and messages on the widget's own comm.

``js/gen_protocol.py`` turns this module into TypeScript with `protocol`. A class that ends in State lists a widget's synced traits, under the names by which
notebooks' files keep them: a name that has been released stays. A test compares the two.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from webgpu_widget.link.wire import Schema

# ---------------------------------------------------------------- of every widget


class PlaceState(TypedDict):
    """By these a page finds the place of a view: `shown.widget.PicturedWidget`. ``_page`` is what a page says of itself, ``_heard`` what Python answers."""

    _picture_id: str
    _page: str
    _heard: str


class CardStatus(TypedDict):
    """What the card of a GPU shows."""

    state: NotRequired[str]
    adapter: NotRequired[str]
    transport: NotRequired[str]
    message: NotRequired[str]
    url: NotRequired[str]


class CardState(PlaceState):
    """`GPU`."""

    gpu_id: str
    transport: Literal["comm", "page", "headless"]
    status: CardStatus


class PanelState(PlaceState):
    """A bar or a table: which of them ``kind`` says."""

    kind: Literal["bar", "table"]
    title: str
    state: str


class BarState(PanelState):
    """`shown.panel.Bar`: ``fraction`` is from 0 to 1, and ``strip`` a picture below it, as PNG; empty where there is none."""

    fraction: float
    text: str
    steerable: bool
    strip: bytes


class TableState(PanelState):
    """`shown.panel.TablePanel`."""

    columns: list[str]
    rows: list[list[str]]


class Steer(TypedDict):
    """From a bar: one of its buttons was pressed."""

    action: Literal["pause", "resume", "cancel"]


STEER: Schema[Steer] = Schema(Steer)

# ---------------------------------------------------------------- the explorer


class ExplorerStatus(TypedDict):
    """The last picture that was finished; ``refined`` pixels were done again, None where they are not yet. Empty before the first."""

    state: NotRequired[str]
    method: NotRequired[str]
    text: NotRequired[str]
    adapter: NotRequired[str]
    iterations: NotRequired[float]
    seconds: NotRequired[float]
    iterations_per_second: NotRequired[float]
    refined: NotRequired[int | None]
    size: NotRequired[tuple[int, int]]
    max_iter: NotRequired[int]
    center: NotRequired[tuple[str, str]]
    width: NotRequired[str]


EXPLORER_STATUS: Schema[ExplorerStatus] = Schema(ExplorerStatus)


class ExplorerState(PlaceState):
    """`MandelbrotExplorer`. ``_colors`` are those of ``palette``."""

    center: tuple[str, str]
    width: str
    max_iter: int
    auto_iterations: bool
    palette: str | list[str]
    scale: Literal["log", "sqrt", "linear"]
    cycle: float
    offset: float
    histogram: bool
    power: int
    julia: tuple[str, str] | None
    height: int
    status: ExplorerStatus
    _colors: list[str]


class ExplorerView(TypedDict):
    """A view that a page asks about: numbers of full precision are decimal texts."""

    center: tuple[str, str]
    width: str
    size: tuple[int, int]
    max_iter: int
    power: int
    julia: tuple[str, str] | None


class ExplorerHello(TypedDict):
    """A page begins. Answer: `ExplorerWelcome`."""

    id: str
    kind: Literal["hello"]


class ExplorerPrepare(TypedDict):
    """What does a view need? ``have`` is the key of the reference that the page holds; ``exact``: about the view's own centre, as `render` has it.

    Answer: `ExplorerPrepared`.
    """

    id: str
    kind: Literal["prepare"]
    view: ExplorerView
    have: str
    exact: bool


class ExplorerRefine(TypedDict):
    """What does refine.wgsl need beside the exact plan? ``have`` is the key of what the page holds of the kind. Answer: `ExplorerFine`."""

    id: str
    kind: Literal["refine"]
    view: ExplorerView
    have: str


class ExplorerDraw(TypedDict):
    """A picture by the kernel's GPU; its size is in ``view``, 1/coarse of the page's. Answer: `ExplorerDrawn`."""

    id: str
    kind: Literal["draw"]
    view: ExplorerView
    coarse: int


class ExplorerPicture(TypedDict):
    """What the page shows, a PNG in buffer 0, for the notebook's file. No answer."""

    id: str
    kind: Literal["picture"]


class ExplorerCancel(TypedDict):
    """Question ``id`` is given up. No answer, to either."""

    id: str
    kind: Literal["cancel"]


ExplorerQuestion = ExplorerHello | ExplorerPrepare | ExplorerRefine | ExplorerDraw | ExplorerPicture | ExplorerCancel

EXPLORER_QUESTION: Schema[ExplorerQuestion] = Schema(ExplorerQuestion)


class ExplorerShaders(TypedDict):
    """WGSL by the names of the package's shaders."""

    direct: str
    perturb: str
    refine: str


class Landmark(TypedDict):
    """A place with its link."""

    name: str
    link: str


class ExplorerWelcome(TypedDict):
    """``remote``: the kernel must compute, since its GPU is not this page's; ``adapter`` is that GPU's."""

    id: str
    kind: Literal["welcome"]
    shaders: ExplorerShaders
    palettes: dict[str, list[str]]
    landmarks: list[Landmark]
    remote: bool
    adapter: str


class ExplorerPlan(TypedDict):
    """What a picture needs beside the shaders and the parts of its reference, which ``key`` names.

    ``center`` and ``step`` (of one pixel) are those of the plane for ``direct``, else in units of 2^scale, the centre from the reference's point.
    ``offsets`` are the first entries of the table's ``levels``, filled up to 32.
    """

    method: Literal["direct", "perturbation", "bla"]
    size: tuple[int, int]
    max_iter: int
    power: int
    julia: tuple[float, float] | None
    radius_squared: float
    center: tuple[float, float]
    step: float
    scale: int
    start: int
    offsets: list[int]
    levels: int
    highest: int
    key: str


class ExplorerServes(TypedDict):
    """Which views a reference serves besides.

    ``point`` is where it is, with ``digits`` digits. ``reach`` is the base-2 logarithm of the largest distance from it for which table and limits are right
    (None: any), ``finest`` that of the smallest pixel that its precision is enough for; ``length`` is its steps (None: it has escaped, and serves any number).
    """

    point: tuple[str, str]
    digits: int
    reach: float | None
    finest: float
    length: int | None


class ExplorerPrepared(TypedDict):
    """The plan, and the method in words. Buffers: reference, table and orbit; none, where the page has them; or limits and radii, which differ from what it has."""

    id: str
    kind: Literal["prepared"]
    plan: ExplorerPlan
    serves: ExplorerServes
    text: str


class FinePlan(TypedDict):
    """The parts of a reference for refine.wgsl; ``offsets`` as in `ExplorerPlan`."""

    key: str
    start: int
    offsets: list[int]
    levels: int
    highest: int


class ExplorerFine(TypedDict):
    """Buffers: indices and smooth counts of pixels that 56 bits do not tell from an axis; then reference and table, unless the page has them."""

    id: str
    kind: Literal["fine"]
    fine: FinePlan


class ExplorerDrawn(TypedDict):
    """Buffers: iterations and smooth counts."""

    id: str
    kind: Literal["drawn"]
    text: str
    method: str
    refined: int


class Failed(TypedDict):
    """A question has no answer, and why; ``line`` and ``column`` of a view's source count from 1, 0 where it has no place."""

    id: str
    kind: Literal["error"]
    message: str
    line: int
    column: int


def refusal(content: object) -> Failed | None:
    """Return what a page is told whose question is none that its widget knows; None where it waits for no answer."""
    if not isinstance(content, dict) or not isinstance(content.get("id"), str):
        return None
    message = f"the page's question {content.get('kind')!r:.40} is malformed: reload the page, and run the cell again"
    return {"id": content["id"], "kind": "error", "message": message, "line": 0, "column": 0}


ExplorerAnswer = ExplorerWelcome | ExplorerPrepared | ExplorerFine | ExplorerDrawn | Failed

# ---------------------------------------------------------------- views of shaders


class UniformInput(TypedDict):
    """A name of a view's WGSL that is a uniform; of all inputs ``type`` is how it is declared where the WGSL does not do it."""

    kind: Literal["uniform"]
    type: str


class ArrayInput(TypedDict):
    """A buffer that is read."""

    kind: Literal["array"]
    type: str
    buffer: int
    size_bytes: int


class TextureInput(TypedDict):
    """A texture."""

    kind: Literal["texture"]
    type: str
    texture: int


class SamplerInput(TypedDict):
    """A sampler by its description."""

    kind: Literal["sampler"]
    type: str
    sampler: dict[str, str]


ViewInput = UniformInput | ArrayInput | TextureInput | SamplerInput


class ViewFrame(TypedDict):
    """What a frame sets by itself. Sizes and the mouse are in pixels of the whole picture, from the upper left corner.

    ``mouse`` is where it is while a button is down, or was last; and where it was pressed, negative once it is up again.
    """

    time: float
    delta: float
    frame: int
    size: tuple[int, int]
    mouse: tuple[float, float, float, float]


class ViewStatus(TypedDict):
    """How a view goes in the page; empty before it has begun."""

    frames_per_second: NotRequired[float]
    adapter: NotRequired[str]
    coarse: NotRequired[int]
    nan_pixels: NotRequired[int]
    compile_ms: NotRequired[float]
    first_frame_ms: NotRequired[float | None]


class ViewState(PlaceState):
    """`ShaderView`; beside these a trait ``u_NAME`` for each of ``uniforms``."""

    source: str
    playing: bool
    time: float
    size: tuple[int, int]
    mouse: tuple[float, float, float, float]
    error: str
    status: ViewStatus
    view_id: str
    gpu_id: str
    transport: Literal["comm", "page", "headless"]
    uniforms: list[str]
    _inputs: dict[str, ViewInput]


class ViewDraw(TypedDict):
    """A picture by the kernel's GPU, at 1/coarse of its size; ``values`` are those of the uniforms, as the page has them. Answer: `ViewDrawn`."""

    id: str
    kind: Literal["draw"]
    frame: ViewFrame
    values: dict[str, Any]
    coarse: int


VIEW_DRAW: Schema[ViewDraw] = Schema(ViewDraw)


class ViewDrawn(TypedDict):
    """Buffer 0 is a PNG; ``nan`` pixels of it are none."""

    id: str
    kind: Literal["drawn"]
    nan: int
    adapter: str


ViewAnswer = ViewDrawn | Failed
