// The picture of a receipt, with zoom, rotation and panning. If the browser cannot show the file, the worker's preview
// is shown instead.

import { call } from "./api.js";
import { h, replace } from "./dom.js";

const SHOWN = new Set(["image/jpeg", "image/png", "image/webp", "image/gif"]);

export function viewer(id) {
  const state = { scale: 1, turn: 0, x: 0, y: 0, blob: null, page: 1, pages: 1 };
  const image = h("img", { alt: "The uploaded receipt", draggable: "false" });
  const note = h("p", { class: "picture-note" });
  const stage = h("div", { class: "stage", tabindex: "0", role: "group", "aria-label": "Image: plus and minus zoom, arrow keys move, t rotates" }, image, note);
  const button = (label, text, action) => h("button", { type: "button", class: "quiet icon", "aria-label": label, title: label, onclick: action }, text);
  const pages = h("span", { class: "pages", hidden: true });
  const open = h("a", { class: "button quiet", target: "_blank", rel: "noopener noreferrer", hidden: true }, "Open file");
  const tools = h(
    "div", { class: "tools", role: "toolbar", "aria-label": "Image" },
    button("Zoom out", "−", () => zoom(0.8)), button("Zoom in", "+", () => zoom(1.25)), button("Whole image", "⤢", reset),
    button("Rotate", "↻", turn), pages, open,
  );
  const element = h("figure", { class: "picture" }, stage, tools);

  // A long receipt would be too narrow to read if it were shown whole, so it starts at its top, wide enough to read.
  function begin() {
    const tall = image.offsetHeight / Math.max(1, image.offsetWidth);
    const room = stage.clientHeight / Math.max(1, stage.clientWidth);
    Object.assign(state, { scale: 1, x: 0, y: 0, turn: 0 });
    if (tall > 2.2 && tall > 1.5 * room) {
      state.scale = Math.min(4, (0.8 * stage.clientWidth) / image.offsetWidth);
      state.y = (image.offsetHeight * (state.scale - 1)) / 2;
    }
    draw();
  }

  // How far the picture may be moved in each direction: until its edge meets the edge of the stage.
  function room() {
    const lying = state.turn % 180 !== 0;
    const size = state.scale * fit();
    const [width, height] = [image.offsetWidth * size, image.offsetHeight * size];
    return {
      x: Math.max(0, ((lying ? height : width) - stage.clientWidth) / 2),
      y: Math.max(0, ((lying ? width : height) - stage.clientHeight) / 2),
    };
  }

  function move(x, y) {
    const most = room();
    const before = [state.x, state.y];
    state.x = Math.min(most.x, Math.max(-most.x, state.x + x));
    state.y = Math.min(most.y, Math.max(-most.y, state.y + y));
    draw();
    return before[0] !== state.x || before[1] !== state.y;
  }

  function draw() {
    stage.classList.toggle("free", state.scale > 1);
    image.style.transform = `translate(${state.x}px, ${state.y}px) rotate(${state.turn}deg) scale(${state.scale * fit()})`;
  }

  // The extra scale that makes a picture fit when it is rotated by a quarter turn.
  function fit() {
    if (state.turn % 180 === 0 || !image.offsetWidth) return 1;
    return Math.min(stage.clientWidth / image.offsetHeight, stage.clientHeight / image.offsetWidth, 1.6);
  }

  function zoom(by, at) {
    const before = state.scale;
    state.scale = Math.min(12, Math.max(1, state.scale * by));
    const grown = state.scale / before;
    if (at) {
      state.x = at.x - (at.x - state.x) * grown;
      state.y = at.y - (at.y - state.y) * grown;
    } else {
      state.x *= grown;
      state.y *= grown;
    }
    move(0, 0);
  }

  function reset() {
    Object.assign(state, { scale: 1, x: 0, y: 0, turn: 0 });
    draw();
  }

  function turn() {
    state.turn = (state.turn + 90) % 360;
    move(0, 0);
  }

  const fromMiddle = (event) => {
    const box = stage.getBoundingClientRect();
    return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
  };
  // The wheel moves a picture that is larger than its stage, and scrolls the page once the picture's edge is reached.
  // With Ctrl it zooms; pinching on a touchpad sends the same event.
  stage.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) zoom(Math.exp(-event.deltaY / 300), fromMiddle(event));
    else if (!move(-event.deltaX, -event.deltaY)) return;
    event.preventDefault();
  }, { passive: false });
  stage.addEventListener("dblclick", (event) => (state.scale > 1 ? reset() : zoom(2.5, fromMiddle(event))));
  const touches = new Map();
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("a, button")) return;
    stage.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, event);
  });
  stage.addEventListener("pointermove", (event) => {
    const before = touches.get(event.pointerId);
    if (!before) return;
    const others = [...touches.values()].filter((one) => one.pointerId !== event.pointerId);
    if (others.length === 1) {
      const distance = (one) => Math.hypot(one.clientX - others[0].clientX, one.clientY - others[0].clientY);
      zoom(distance(event) / Math.max(1, distance(before)), fromMiddle(event));
    } else if (state.scale > 1 && !move(event.clientX - before.clientX, event.clientY - before.clientY)) {
      if (event.pointerType === "touch") scrollBy(0, before.clientY - event.clientY); // the picture's edge is reached: scroll the page
    }
    touches.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => touches.delete(event.pointerId));
  stage.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (!by) return;
    if (move(...by)) event.preventDefault();
  });
  image.addEventListener("load", () => { stage.classList.add("loaded"); begin(); });
  image.addEventListener("error", () => {
    if (!state.blob && image.src && !state.tried) prepared();
    else tell("This file cannot be shown.");
  });

  function tell(text) {
    image.hidden = true;
    note.textContent = text;
  }

  async function prepared() {
    state.tried = true;
    try {
      const blob = await call(`/receipts/${id}/preview`, { raw: true, query: { page: state.page } });
      if (state.blob) URL.revokeObjectURL(state.blob);
      state.blob = URL.createObjectURL(blob);
      image.hidden = false;
      image.src = state.blob;
    } catch (error) {
      tell(error.message);
    }
  }

  function drawPages() {
    pages.hidden = state.pages < 2;
    if (pages.hidden) return;
    const go = (by) => () => {
      state.page = Math.min(state.pages, Math.max(1, state.page + by));
      drawPages();
      prepared();
    };
    replace(pages, button("Previous page", "‹", go(-1)), `${state.page} / ${state.pages}`, button("Next page", "›", go(1)));
  }

  async function load(record) {
    state.pages = Math.min(record.pages ?? 1, 10);
    drawPages();
    try {
      const link = await call(`/receipts/${id}/image`);
      open.href = link.url;
      open.hidden = false;
      if (SHOWN.has(record.media_type)) image.src = link.url;
      else await prepared(); // failed uploads have no media type, but a person may still enter their fields
    } catch (error) {
      tell(error.message);
    }
  }

  return { element, load, zoom, reset, turn, close() { if (state.blob) URL.revokeObjectURL(state.blob); } };
}
