// What is painted: a list of marks, which are drawn onto a canvas of the view's size.
//
// A mark is {kind: "brush", size, points, erase} | {kind: "box", x, y, w, h} | {kind: "polygon", points}
// | {kind: "picture", canvas} | {kind: "invert"}. Lists are never changed, so that undo keeps them.

export const COLOUR = "#ff2bd6";
const PAINTED = 32; // of 255: from this alpha on a pixel is painted, so that the soft edge of a stroke is

export function drawMark(context, mark) {
  context.save();
  context.fillStyle = context.strokeStyle = COLOUR;
  if (mark.erase) context.globalCompositeOperation = "destination-out";
  if (mark.kind === "brush") drawStroke(context, mark.points, mark.size);
  if (mark.kind === "box") context.fillRect(mark.x, mark.y, mark.w, mark.h);
  if (mark.kind === "polygon") {
    context.beginPath();
    for (const [x, y] of mark.points) context.lineTo(x, y);
    context.fill();
  }
  if (mark.kind === "picture") context.drawImage(mark.canvas, 0, 0, context.canvas.width, context.canvas.height);
  if (mark.kind === "invert") {
    context.globalCompositeOperation = "source-out";
    context.fillRect(0, 0, context.canvas.width, context.canvas.height);
  }
  context.restore();
}

function drawStroke(context, points, size) {
  context.lineCap = context.lineJoin = "round";
  context.lineWidth = size;
  context.beginPath();
  context.moveTo(...points[0]);
  for (const point of points) context.lineTo(...point);
  context.stroke();
}

/** The mask as PNG, white where it is painted; null where nothing is. */
export async function maskFile(canvas) {
  const { width, height } = canvas;
  const file = Object.assign(document.createElement("canvas"), { width, height });
  const context = file.getContext("2d", { willReadFrequently: true }); // the canvas itself stays on the graphics card
  context.drawImage(canvas, 0, 0);
  const pixels = context.getImageData(0, 0, width, height);
  const words = new Uint32Array(pixels.data.buffer);
  let isEmpty = true;
  for (let i = 0; i < words.length; i++) {
    const isPainted = pixels.data[4 * i + 3] >= PAINTED;
    if (isPainted) isEmpty = false;
    words[i] = isPainted ? 0xffffffff : 0xff000000;
  }
  if (isEmpty) return null;
  context.putImageData(pixels, 0, 0);
  return new Promise((done) => file.toBlob(done, "image/png"));
}

/** A mask file as a mark: painted where it is white, or grey from a quarter on, and not transparent. */
export async function readMask(file, width, height) {
  const bitmap = await createImageBitmap(file);
  const size = `${bitmap.width} × ${bitmap.height}`;
  if (Math.abs(bitmap.width * height - bitmap.height * width) > 0.02 * bitmap.height * width) return { size };
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, width, height);
  const pixels = context.getImageData(0, 0, width, height);
  const { data } = pixels;
  let painted = 0;
  for (let i = 0; i < data.length; i += 4) {
    const level = ((0.299 * data[i] + 0.587 * data[i + 1] + 0.114 * data[i + 2]) * data[i + 3]) / 255;
    const isPainted = level >= 64;
    painted += isPainted;
    data.set(isPainted ? [0xff, 0x2b, 0xd6, 0xff] : [0, 0, 0, 0], i);
  }
  context.putImageData(pixels, 0, 0);
  return { mark: { kind: "picture", canvas }, share: painted / (width * height) };
}
