/** The Julia set and the orbit of the point under the cursor, on the CPU: both are small. */

const COLUMNS = 168;
const ROWS = 126;
const WIDTH = 3.6;
const LIMIT = 160;

/** Draw the filled Julia set of c, and its critical orbit on it. */
export function drawJulia(canvas: HTMLCanvasElement, c: readonly [number, number], power: number, table: Uint32Array): void {
  canvas.width = COLUMNS;
  canvas.height = ROWS;
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(COLUMNS, ROWS);
  const pixels = new Uint32Array(image.data.buffer);
  const step = WIDTH / COLUMNS;
  for (let j = 0; j < ROWS; j++) {
    for (let i = 0; i < COLUMNS; i++) {
      let x = (i + 0.5 - COLUMNS / 2) * step;
      let y = (ROWS / 2 - j - 0.5) * step;
      let n = 0;
      while (n < LIMIT && x * x + y * y < 256) {
        [x, y] = next(x, y, c, power);
        n++;
      }
      const at = Math.log2(n + 2 - Math.log2(Math.max(1, Math.log2(x * x + y * y)))) / 5;
      pixels[j * COLUMNS + i] = n >= LIMIT ? 0xff000000 : (table[Math.floor((at - Math.floor(at)) * table.length)] ?? 0);
    }
  }
  context.putImageData(image, 0, 0);
  const points = orbit(c, power, 60);
  context.strokeStyle = "rgba(255,255,255,.85)";
  context.lineWidth = 0.7;
  context.beginPath();
  for (const [x, y] of points) context.lineTo(COLUMNS / 2 + x / step, ROWS / 2 - y / step);
  context.stroke();
}

function next(x: number, y: number, c: readonly [number, number], power: number): [number, number] {
  let a = x;
  let b = y;
  for (let k = 1; k < power; k++) [a, b] = [a * x - b * y, a * y + b * x];
  return [a + c[0], b + c[1]];
}

/** z_0 = 0, z_1, ... until it is far away. */
export function orbit(c: readonly [number, number], power: number, length: number): [number, number][] {
  const points: [number, number][] = [[0, 0]];
  let [x, y] = [0, 0];
  while (points.length < length && x * x + y * y < 64) {
    [x, y] = next(x, y, c, power);
    points.push([x, y]);
  }
  return points;
}
