// The page: a history of photographs and marks, and the controls that move it on.

import { Board } from "./board.js";
import { maskFile, readMask } from "./mask.js";
import * as server from "./server.js";
import { say, switchLanguage, translate } from "./texts.js";

const $ = (id) => document.getElementById(id);
const POLL = 400; // ms
const SHORT = 350; // ms: Tab pressed for less moves the focus

let history = []; // {photo, marks}, the latest last; photo as in server.js, marks as in mask.js
let now = -1; // of history
let last = null; // {photo, marks} of the latest fill
let job = null; // AbortController of what is being done
let poll = null; // timer that asks for the place in the queue
let first = null; // {photo, bitmap}: as it was opened
const board = new Board($("board"), addMark);

// History

const current = () => history[now];

async function go(index) {
  const entry = history[index];
  const isOther = entry.photo !== current()?.photo;
  now = index;
  if (isOther || !board.view) await showPhoto(entry.photo);
  else board.paint(entry.marks);
  update();
}

async function showPhoto(photo) {
  const bitmap = await createImageBitmap(photo.blob);
  if (current()?.photo !== photo) return bitmap.close(); // undone meanwhile
  if (board.view && board.view !== first.bitmap) board.view.close();
  const share = bitmap.width / photo.width;
  const [x, y, w, h] = [...photo.offset, first.photo.width, first.photo.height].map((n) => n * share);
  board.show(bitmap, photo === first.photo ? null : { bitmap: first.bitmap, x, y, w, h }, current().marks);
}

async function commit(entry) {
  history = [...history.slice(0, now + 1), entry];
  await go(history.length - 1);
}

/** A mark is done; null: what was begun is not to stay. */
async function addMark(mark) {
  if (!mark) return board.paint(current().marks);
  await commit({ photo: current().photo, marks: [...current().marks, mark] });
  if ($("auto").checked && !mark.erase) await fill();
}

// Work

/** Do something that takes time: with cancel, and its mistake told. */
async function during(work) {
  if (job) return;
  job = new AbortController();
  update();
  try {
    await work(job.signal);
  } catch (error) {
    if (error.name === "AbortError") tell(say("cancelled"));
    else tell(error.message, true);
  } finally {
    clearInterval(poll);
    job = null;
    update();
  }
}

async function showPlace(photo) {
  const place = await server.place(photo).catch(() => 0);
  if (job) tell(place ? say("waiting", { place }) : say("working"));
}

function open(source) {
  return during(async (signal) => {
    tell(say("reading"));
    const photo = await server.open(source, signal);
    if (first) server.forget(first.photo);
    first = { photo, bitmap: await createImageBitmap(photo.blob) };
    [history, now, last, board.view] = [[], -1, null, null];
    setSize(Math.max(Math.min(first.bitmap.width, first.bitmap.height) / 16, 4));
    for (const side of ["x", "y", "w", "h"]) $(`box_${side}`).value = "";
    document.body.classList.add("has_photo");
    await commit({ photo, marks: [] });
    tell([say("loaded", photo), ...photo.notes].join(" "));
    $("board").focus();
  });
}

function fill(extend) {
  board.finishPolygon();
  if (!current()) return;
  const { photo, marks } = current();
  const options = { model: $("model").value, dilate: $("grow").value || 0 };
  if ($("detail").value) options.detail = $("detail").value;
  if (extend) options.extend = extend;
  return during(async (signal) => {
    tell(say("working"));
    const mask = await maskFile(board.mask);
    if (!mask && !extend) throw new Error(say("nothing_painted"));
    poll = setInterval(() => showPlace(photo), POLL);
    const filled = await server.fill(photo, mask, options, signal);
    if (mask && !extend) last = { photo, marks };
    await commit({ photo: filled, marks: [] });
    tell(summary(filled));
  });
}

function summary(photo) {
  const percent = (100 * photo.share).toFixed(photo.share < 0.1 ? 1 : 0);
  const lines = [say("done", { ...photo, share: `${percent} %`, seconds: photo.seconds.toFixed(1) }), ...photo.notes];
  if (!photo.lossless && !$("lossless").checked) lines.push(say("lossy", { format: photo.format.toUpperCase() }));
  return lines.join(" ");
}

async function runAgain() {
  if (!last || job) return;
  await commit(last);
  await fill();
}

function extend() {
  const margins = ["left", "top", "right", "bottom"].map((side) => Math.max(Math.round($(`extend_${side}`).value), 0));
  if (!margins.some(Boolean)) return tell(say("no_margin"), true);
  return fill(margins.join(","));
}

function addBox() {
  const { photo } = current();
  const [x, y, w, h] = ["x", "y", "w", "h"].map((name) => Math.round($(`box_${name}`).value));
  const { width, height } = photo;
  if (!(w > 0 && h > 0 && x >= 0 && y >= 0 && x < width && y < height)) {
    return tell(say("box_beside", { width, height }), true);
  }
  const share = board.view.width / width;
  addMark({ kind: "box", x: x * share, y: y * share, w: w * share, h: h * share });
  tell(say("box_added", { x, y, width: w, height: h }));
}

// Files

function download() {
  return during(async () => {
    const { blob, name } = await server.result(current().photo, { lossless: $("lossless").checked });
    save(blob, name);
    tell(say("downloaded", { name }));
  });
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function copy() {
  if (!navigator.clipboard?.write) return tell(say("no_clipboard"), true);
  return during(async () => {
    const png = server.result(current().photo, { format: "png" }).then(({ blob }) => blob);
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    tell(say("copied"));
  });
}

async function saveMask() {
  const mask = await maskFile(board.mask);
  if (!mask) return tell(say("nothing_painted"), true);
  save(mask, `${current().photo.name.replace(/\.[^.]*$/, "")}_mask.png`);
}

async function loadMask(file) {
  const { width, height } = board.view;
  const { mark, share, size } = await readMask(file, width, height).catch(() => ({}));
  if (size) return tell(say("mask_aspect", { ...current().photo, got: size }), true);
  if (!mark) return tell(say("mask_unread"), true);
  if (share > 0.6) tell(say("mask_large", { share: `${Math.round(100 * share)} %` }));
  await addMark(mark);
}

// Controls

function tell(text, isError = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", isError);
}

function setSize(size) {
  board.size = Math.min(Math.max(size, 1), 1000);
  $("size").value = 100 * Math.sqrt(board.size / 1000); // finer where it is small
  board.draw();
}

function setTool(tool) {
  board.finishPolygon();
  board.tool = tool;
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.setAttribute("aria-pressed", button.dataset.tool === tool);
  }
  $("board").dataset.tool = tool;
  board.draw();
}

function compare(split) {
  board.split = split;
  board.draw();
}

/** Which controls can be used. */
function update() {
  const has = Boolean(current());
  board.isLocked = Boolean(job);
  document.body.classList.toggle("is_busy", Boolean(job));
  for (const id of ["fill", "download", "copy", "mask_save", "mask_invert", "extend", "add_box", "mask_load"]) {
    $(id).disabled = !has || Boolean(job);
  }
  $("undo").disabled = now < 1 || Boolean(job);
  $("redo").disabled = now >= history.length - 1 || Boolean(job);
  $("clear").disabled = !current()?.marks.length || Boolean(job);
  $("again").disabled = !last || Boolean(job);
  $("compare").disabled = !has || current().photo === first.photo;
  if ($("compare").disabled) compare(Number(($("compare").value = 0)));
  $("fill").hidden = Boolean(job);
  $("bar").hidden = !job;
  $("cancel").hidden = !job;
}

const undo = () => now > 0 && !job && go(now - 1);
const redo = () => now < history.length - 1 && !job && go(now + 1);

const CLICKS = {
  open: () => $("file").click(),
  open_first: () => $("file").click(),
  undo,
  redo,
  clear: () => commit({ photo: current().photo, marks: [] }),
  fit: () => board.fit(),
  fill: () => fill(),
  cancel: () => job?.abort(),
  download,
  copy,
  mask_load: () => $("mask_file").click(),
  mask_save: saveMask,
  mask_invert: () => addMark({ kind: "invert", erase: false }),
  again: runAgain,
  extend,
  add_box: addBox,
  language: () => {
    switchLanguage();
    showLimits();
  },
  options: () => showOptions($("panel").hidden),
  close_options: () => showOptions(false),
};

function showOptions(isShown) {
  $("panel").hidden = !isShown;
  $("options").setAttribute("aria-expanded", isShown);
}

function listenToFiles() {
  $("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) open(target.files[0]);
    target.value = "";
  });
  $("mask_file").addEventListener("change", ({ target }) => {
    if (target.files[0]) loadMask(target.files[0]);
    target.value = "";
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (file) open(file);
  });
}

const KEYS = {
  b: () => setTool("brush"),
  e: () => setTool("eraser"),
  r: () => setTool("box"),
  p: () => setTool("polygon"),
  0: () => board.fit(),
  "+": () => board.zoom(1.25),
  "=": () => board.zoom(1.25),
  "-": () => board.zoom(0.8),
  "[": () => setSize(board.size / 1.2),
  "]": () => setSize(board.size * 1.2),
  Enter: () => board.finishPolygon() || fill(),
  Escape: () => (board.mark ? board.dropStroke() : job?.abort()),
};

function listenToKeys() {
  let tabSince = null;
  addEventListener("keydown", (event) => {
    const { activeElement: focused } = document;
    const isOnBoard = [document.body, $("board")].includes(focused); // else Tab, Space and Enter are the control's
    const isTyping = focused.tagName === "SELECT" || focused.type === "number";
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (!current() || isTyping || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      if (key !== "z" && key !== "y") return;
      event.preventDefault();
      if (key === "y" || event.shiftKey) redo();
      else undo();
    } else if (key === "Tab" && !event.shiftKey && isOnBoard) {
      event.preventDefault();
      tabSince ??= event.timeStamp;
      if (!$("compare").disabled) compare(1);
    } else if (key === " " && isOnBoard) {
      event.preventDefault();
      board.isPanning = true;
      $("board").classList.add("is_panning");
    } else if (key in KEYS && (key !== "Enter" || isOnBoard)) {
      event.preventDefault();
      KEYS[key]();
    }
  });
  addEventListener("keyup", (event) => {
    if (event.key === " ") {
      board.isPanning = false;
      $("board").classList.remove("is_panning");
    }
    if (event.key === "Tab" && tabSince !== null) {
      compare($("compare").value / 100);
      if (event.timeStamp - tabSince < SHORT) $("tool_brush").focus();
      tabSince = null;
    }
  });
}

let limits = null;

function showLimits() {
  if (limits) $("limits").textContent = say("limits", { ...limits, minutes: Math.round(limits.seconds_kept / 60) });
}

async function start() {
  translate();
  for (const [id, click] of Object.entries(CLICKS)) $(id).addEventListener("click", () => click());
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.addEventListener("click", () => setTool(button.dataset.tool));
  }
  for (const button of document.querySelectorAll("[data-sample]")) {
    button.addEventListener("click", () => open(button.dataset.sample));
  }
  $("size").addEventListener("input", ({ target }) => setSize(1000 * (target.value / 100) ** 2));
  $("compare").addEventListener("input", ({ target }) => compare(target.value / 100));
  listenToFiles();
  listenToKeys();
  setTool("brush");
  update();
  showOptions(innerWidth > 900);
  const told = await server.about().catch((error) => tell(error.message, true));
  if (!told) return;
  $("model").replaceChildren(...told.models.map((name) => new Option(name)));
  limits = told.limits;
  showLimits();
  document.body.dataset.ready = "";
}

start();
