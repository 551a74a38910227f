// The canvas: shows the photograph and what is painted, zooms, pans, and turns pointers into marks.
//
// Places are in pixels of the view, which is the photograph or, of a large one, a smaller copy.

import { COLOUR, drawMark } from "./mask.js";

const ZOOM = [0.02, 40];
const CLOSE = 12; // screen pixels from the first corner that close a polygon

export class Board {
  /** onMark is called with each finished mark. */
  constructor(canvas, onMark) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.onMark = onMark;
    this.mask = document.createElement("canvas");
    this.view = null; // ImageBitmap
    this.before = null; // {bitmap, x, y, w, h}: the first photograph, in places of the view
    this.split = 0; // share of the width that shows it
    this.tool = "brush";
    this.size = 30;
    this.isLocked = false;
    this.isPanning = false; // Space is held
    this.mark = null; // being made
    this.pointers = new Map();
    this.cursor = null;
    [this.scale, this.x, this.y] = [1, 0, 0];
    this.isFitted = true; // the window's size may change without a jump of what was zoomed
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.down(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, (event) => this.up(event));
    canvas.addEventListener("pointerleave", () => this.point(null));
    canvas.addEventListener("dblclick", () => this.finishPolygon());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  /** Show a photograph and its marks; where its size is another one, all of it. */
  show(view, before, marks) {
    const isOther = this.view?.width !== view.width || this.view?.height !== view.height;
    Object.assign(this, { view, before, mark: null });
    if (isOther) {
      Object.assign(this.mask, { width: view.width, height: view.height });
      this.fit();
    }
    this.paint(marks);
  }

  paint(marks) {
    const context = this.mask.getContext("2d");
    context.clearRect(0, 0, this.mask.width, this.mask.height);
    for (const mark of marks) drawMark(context, mark);
    this.draw();
  }

  resize() {
    const ratio = devicePixelRatio;
    this.canvas.width = this.canvas.clientWidth * ratio;
    this.canvas.height = this.canvas.clientHeight * ratio;
    if (this.isFitted) this.fit();
    else this.draw();
  }

  fit() {
    this.isFitted = true;
    if (!this.view) return;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.scale = Math.min((width - 24) / this.view.width, (height - 24) / this.view.height, 8);
    this.x = (width - this.view.width * this.scale) / 2;
    this.y = (height - this.view.height * this.scale) / 2;
    this.draw();
  }

  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * factor, ZOOM[0]), ZOOM[1]);
    this.x = x - ((x - this.x) * scale) / this.scale;
    this.y = y - ((y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.isFitted = false;
    this.draw();
  }

  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.drawNow();
    });
  }

  drawNow() {
    const { context, view, scale } = this;
    const ratio = devicePixelRatio;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!view) return;
    context.setTransform(scale * ratio, 0, 0, scale * ratio, this.x * ratio, this.y * ratio);
    context.imageSmoothingEnabled = scale * ratio < 3;
    context.fillStyle = "#888"; // under transparency
    context.fillRect(0, 0, view.width, view.height);
    context.drawImage(view, 0, 0);
    if (this.split > 0 && this.before) this.drawBefore();
    else this.drawMask();
    if (this.cursor && this.tool !== "hand") this.drawCursor();
  }

  drawBefore() {
    const { context, view, before, split } = this;
    context.save();
    context.beginPath();
    context.rect(0, 0, view.width * split, view.height);
    context.clip();
    context.fillRect(0, 0, view.width, view.height);
    context.drawImage(before.bitmap, before.x, before.y, before.w, before.h);
    context.restore();
    if (split < 1) this.line([[view.width * split, 0], [view.width * split, view.height]]);
  }

  drawMask() {
    this.context.globalAlpha = 0.55;
    this.context.drawImage(this.mask, 0, 0);
    this.context.globalAlpha = 1;
    const { mark } = this;
    if (mark?.kind === "box") this.line(corners(mark));
    if (mark?.kind === "polygon") this.line(this.cursor ? [...mark.points, this.cursor] : mark.points);
  }

  line(points) {
    const { context } = this;
    context.beginPath();
    for (const point of points) context.lineTo(...point);
    for (const [colour, width] of [["#000", 3], [COLOUR, 1.5]]) {
      context.strokeStyle = colour;
      context.lineWidth = width / this.scale;
      context.stroke();
    }
  }

  drawCursor() {
    if (!["brush", "eraser"].includes(this.tool) || this.isLocked) return;
    const { context } = this;
    context.beginPath();
    context.arc(...this.cursor, this.size / 2, 0, 2 * Math.PI);
    for (const [colour, width] of [["#000", 2.5], ["#fff", 1]]) {
      context.strokeStyle = colour;
      context.lineWidth = width / this.scale;
      context.stroke();
    }
  }

  place(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [(event.clientX - left - this.x) / this.scale, (event.clientY - top - this.y) / this.scale];
  }

  point(place) {
    this.cursor = place;
    this.draw();
  }

  down(event) {
    if (!this.view) return;
    this.canvas.focus();
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size > 1) return this.dropStroke(); // a pinch
    this.pans = this.isPanning || this.tool === "hand" || event.button === 1;
    if (this.pans || this.isLocked || event.button !== 0) return;
    const place = this.place(event);
    if (this.tool === "polygon") this.addCorner(place);
    else if (this.tool === "box") this.mark = { kind: "box", x: place[0], y: place[1], w: 0, h: 0 };
    else {
      this.mark = { kind: "brush", size: this.size, points: [place], erase: this.tool === "eraser" };
      this.extendStroke();
    }
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (before) this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (before && this.pointers.size === 2) return this.pinch(event, before);
    if (before && this.pans) return this.pan(event.clientX - before[0], event.clientY - before[1]);
    if (before && this.mark?.kind === "brush") {
      const parts = event.getCoalescedEvents?.() ?? [];
      for (const part of parts.length ? parts : [event]) this.mark.points.push(this.place(part));
      this.extendStroke();
    }
    if (before && this.mark?.kind === "box") {
      const [x, y] = this.place(event);
      Object.assign(this.mark, { w: x - this.mark.x, h: y - this.mark.y });
    }
    this.point(event.pointerType === "touch" ? null : this.place(event));
    if (event.pointerType === "touch" && this.mark) this.cursor = this.place(event);
  }

  up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    if (event.pointerType === "touch") this.cursor = null;
    const { mark } = this;
    if (!mark || mark.kind === "polygon") return this.draw();
    this.mark = null;
    if (event.type === "pointercancel") return this.onMark(null);
    if (mark.kind === "brush") return this.onMark(mark);
    const [[x, y], , [right, bottom]] = corners(mark);
    if (right - x >= 1 && bottom - y >= 1) this.onMark({ kind: "box", x, y, w: right - x, h: bottom - y });
    this.draw();
  }

  /** Draw the stroke's latest part at once. */
  extendStroke() {
    drawMark(this.mask.getContext("2d"), { ...this.mark, points: this.mark.points.slice(-12) });
    this.draw();
  }

  dropStroke() {
    this.mark = null;
    this.onMark(null);
  }

  addCorner(place) {
    const [first] = this.mark?.points ?? [];
    if (first && Math.hypot(first[0] - place[0], first[1] - place[1]) * this.scale < CLOSE) return this.finishPolygon();
    this.mark ??= { kind: "polygon", points: [] };
    this.mark.points.push(place);
    this.draw();
  }

  /** Close a polygon; whether there was one. */
  finishPolygon() {
    const { mark } = this;
    if (mark?.kind !== "polygon") return false;
    this.mark = null;
    this.onMark(mark.points.length > 2 ? mark : null);
    return true;
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.isFitted = false;
    this.draw();
  }

  pinch(event, before) {
    const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const now = [event.clientX, event.clientY];
    const far = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
    const { left, top } = this.canvas.getBoundingClientRect();
    this.pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    this.zoom(far(now) / Math.max(far(before), 1), (now[0] + other[0]) / 2 - left, (now[1] + other[1]) / 2 - top);
  }

  wheel(event) {
    event.preventDefault();
    const { left, top } = this.canvas.getBoundingClientRect();
    const speed = event.ctrlKey ? 0.01 : event.deltaMode ? 0.05 : 0.0015; // ctrlKey: a pinch on a touchpad
    this.zoom(Math.exp(-event.deltaY * speed), event.clientX - left, event.clientY - top);
  }
}

function corners({ x, y, w, h }) {
  const [left, right] = [Math.min(x, x + w), Math.max(x, x + w)];
  const [top, bottom] = [Math.min(y, y + h), Math.max(y, y + h)];
  return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]];
}
