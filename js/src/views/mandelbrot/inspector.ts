/** What is shown beside the picture: the Julia set and the orbit of the point under the cursor, and where the view is. */
import { formatWide, pointTexts, shiftPoint, toNumbers } from "./decimal.js";
import type { Parts } from "./dom.js";
import { drawJulia, orbit } from "./julia.js";
import { complexText, placeText } from "./place.js";
import type { ProgressivePicture } from "./progressive.js";

export class Inspector {
  private cursor: { x: number; y: number } | null = null;

  constructor(
    private readonly parts: Parts,
    private readonly progressive: ProgressivePicture,
    private readonly map: () => { power: number; julia: boolean },
  ) {}

  /** The cursor has moved (null: it has left, and stays where it was), or what is to be shown has changed. */
  point(cursor: { x: number; y: number } | null): void {
    this.cursor = cursor ?? this.cursor ?? { x: 0, y: 0 };
    const { buttons, inset, insetCanvas, insetText } = this.parts;
    const julia = buttons.julia.getAttribute("aria-pressed") === "true" && !this.map().julia;
    inset.classList.toggle("wgmb-hidden", !julia);
    if (this.cursor && julia) {
      const [re, im] = toNumbers(
        shiftPoint(
          this.progressive.view.point,
          this.cursor.x / this.progressive.columns,
          -this.cursor.y / this.progressive.columns,
          this.progressive.view.width,
        ),
      );
      drawJulia(insetCanvas, [re, im], this.map().power, this.progressive.picture.table);
      insetText.textContent = `Julia set of ${complexText(re.toPrecision(5), im.toPrecision(5)).replaceAll(" ", "\u00a0")}`;
    }
    this.drawOrbit();
    this.showPlace();
  }

  drawOrbit(): void {
    const context = this.parts.over.getContext("2d");
    if (!context) return;
    context.clearRect(0, 0, this.progressive.columns, this.progressive.rows);
    if (!this.cursor || this.parts.buttons.orbit.getAttribute("aria-pressed") !== "true") return;
    const place = shiftPoint(
      this.progressive.view.point,
      this.cursor.x / this.progressive.columns,
      -this.cursor.y / this.progressive.columns,
      this.progressive.view.width,
    );
    const [x0, y0] = toNumbers(this.progressive.view.point);
    const unit = this.progressive.columns / (this.progressive.view.width.mantissa * 10 ** this.progressive.view.width.exponent);
    context.strokeStyle = context.fillStyle = "rgba(255,255,255,.9)";
    context.lineWidth = Math.max(1, this.progressive.pixelRatio);
    context.beginPath();
    const points = orbit(toNumbers(place), this.map().power, 400).map(
      ([x, y]) => [this.progressive.columns / 2 + (x - x0) * unit, this.progressive.rows / 2 - (y - y0) * unit] as const,
    );
    for (const [x, y] of points) if (Number.isFinite(x + y)) context.lineTo(Math.max(-1e5, Math.min(1e5, x)), Math.max(-1e5, Math.min(1e5, y)));
    context.stroke();
    for (const [x, y] of points) context.fillRect(x - 1.5, y - 1.5, 3, 3);
  }

  showPlace(): void {
    const { re, im, width, where } = this.parts;
    const [x, y] = pointTexts(this.progressive.view.point, this.progressive.view.width);
    if (document.activeElement?.parentElement !== this.parts.panel) [re.value, im.value, width.value] = [x, y, formatWide(this.progressive.view.width)];
    where.textContent = where.title = placeText(this.progressive.view);
  }
}
