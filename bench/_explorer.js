/** Keeps the times of an explorer, from outside: what is computed, what is drawn, and when. Evaluated before the explorer is there. */
() => {
  const w = { run: 0, output: 0, there: 0, from: 0, event: 0, shown: [], complete: 0, context: "", recording: false, frames: [], moves: [], ticks: 0 };
  window.watch = w;
  const now = () => performance.now();
  const before = (owner, name, act) => {
    const old = owner[name];
    owner[name] = function (...values) {
      act.call(this, ...values);
      return old.apply(this, values);
    };
  };
  const isMain = (canvas) => canvas.classList?.contains("wgmb-main");

  // The explorer paints what it has read from the GPU in the same task in which it reads it.
  let reading = false;
  if (window.GPUBuffer) {
    before(GPUBuffer.prototype, "getMappedRange", () => {
      reading = true;
      setTimeout(() => {
        reading = false;
      });
    });
  }
  before(HTMLCanvasElement.prototype, "getContext", function (kind) {
    if (isMain(this)) w.context ||= kind;
  });

  // A picture on its way has a canvas of its own, painted from its counts and then drawn into the one that is seen.
  const pictures = new WeakMap();
  let newest = null;
  let count = 0;
  before(CanvasRenderingContext2D.prototype, "putImageData", function () {
    const known = pictures.get(this.canvas);
    if (known) known.version++;
    else {
      newest = { id: ++count, by: reading ? "gpu" : "processor", at: now(), version: 1, drawn: 0, grain: 0, stands: false };
      pictures.set(this.canvas, newest);
    }
  });

  let frame = null;
  let last = "";
  const close = () => {
    const { t, list, fresh } = frame;
    frame = null;
    const all = list.join();
    if (w.recording) w.frames.push([t, all !== last, fresh]);
    last = all;
    if (w.idle && !w.complete) w.complete = t;
  };
  before(CanvasRenderingContext2D.prototype, "drawImage", function (image, ...place) {
    const picture = isMain(this.canvas) ? pictures.get(image) : undefined;
    if (!picture) return;
    if (!frame) {
      frame = { t: now(), list: [], fresh: false };
      queueMicrotask(close);
    }
    frame.list.push(picture.id, picture.version, ...place.map((value) => value.toFixed(3)));
    if (picture.drawn) return;
    picture.drawn = frame.t;
    picture.grain = this.canvas.width / image.width;
    frame.fresh = true;
    if (picture.at >= w.from) w.shown.push(picture);
  });

  const ticking = () => {
    if (w.recording) w.ticks++;
    requestAnimationFrame(ticking);
  };
  ticking();

  /** A new question: everything from here on belongs to it. */
  w.begin = (event) => {
    Object.assign(w, { from: now(), event, shown: [], complete: 0, idle: false });
  };
  const watch = (root) => {
    w.there = now();
    new MutationObserver((changes) => {
      for (const { attributeName } of changes) {
        const value = root.getAttribute(attributeName);
        if (attributeName === "data-state") w.idle = value === "idle";
        if (attributeName === "data-sketch" && value === "stand-in" && newest) newest.stands = true;
      }
    }).observe(root, { attributeFilter: ["data-state", "data-sketch"] });
    const canvas = root.querySelector(".wgmb-main");
    canvas.addEventListener("wheel", (event) => w.begin(event.timeStamp), { capture: true });
    canvas.addEventListener("pointermove", (event) => w.recording && w.moves.push(event.timeStamp), { capture: true });
  };
  const finder = new MutationObserver(() => {
    const root = document.querySelector(".wgmb");
    if (!root) return;
    finder.disconnect();
    watch(root);
  });
  finder.observe(document, { childList: true, subtree: true });
}
