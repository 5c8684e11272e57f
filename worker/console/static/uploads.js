// Uploads: sends files three at a time, then polls until their records exist.

import { Problem, askForToken, authorization, call } from "./api.js";
import { byId, h, replace, say, toast } from "./dom.js";
import { STATUS, money, reason } from "./format.js";

const AT_A_TIME = 3;
const LOOK_MS = 900;
const waiting = [];
const shown = [];
let sending = 0;
let onDone = () => {};

export function start({ done }) {
  onDone = done;
  byId("choose").addEventListener("click", choose);
  byId("files").addEventListener("change", (event) => {
    add([...event.target.files]);
    event.target.value = "";
  });
  let inside = 0;
  const drop = byId("drop");
  const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => {
    if (!holdsFiles(event)) return;
    inside += 1;
    drop.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (!holdsFiles(event)) return;
    inside = Math.max(0, inside - 1);
    drop.hidden = inside === 0;
  });
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    inside = 0;
    drop.hidden = true;
    add([...(event.dataTransfer?.files ?? [])]);
  });
}

export const choose = () => byId("files").click();

export function add(files) {
  for (const file of files) {
    const one = { name: file.name, file, state: "waits", share: 0, row: null };
    shown.unshift(one);
    waiting.push(one);
  }
  if (files.length) say(`${files.length} receipts are being added.`);
  draw();
  next();
}

function next() {
  while (sending < AT_A_TIME && waiting.length) {
    const one = waiting.shift();
    sending += 1;
    send(one)
      .then((taken) => watch(one, taken.id))
      .catch((error) => fail(one, error))
      .finally(() => { sending -= 1; next(); });
  }
}

function send(one) {
  one.state = "sending";
  draw();
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/v1/receipts?name=${encodeURIComponent(one.name.slice(-180))}`);
    request.setRequestHeader("Content-Type", one.file.type || "application/octet-stream");
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      one.share = event.lengthComputable ? event.loaded / event.total : 0;
      drawOne(one);
    });
    request.addEventListener("load", () => {
      let content = {};
      try { content = JSON.parse(request.responseText); } catch { /* the status says enough */ }
      if (request.status === 401) {
        askForToken(true).then(() => send(one)).then(resolve, reject);
      } else if (request.status === 202) resolve(content);
      else reject(new Problem(request.status, content.detail ?? "The upload was refused."));
    });
    request.addEventListener("error", () => reject(new Problem(0, "The worker cannot be reached.")));
    request.send(one.file);
  });
}

// Polls for the record of an upload. It does not occupy a sending slot.
function watch(one, id) {
  one.id = id;
  one.file = null;
  one.state = "reading";
  drawOne(one);
  const look = async () => {
    try {
      const record = await call(`/receipts/${id}`);
      one.record = record;
      one.state = record.status;
      drawOne(one);
      say(`${one.name}: ${STATUS[record.status]}`);
      onDone(record);
    } catch (error) {
      if (error instanceof Problem && [0, 404, 503].includes(error.status)) setTimeout(look, LOOK_MS);
      else fail(one, error);
    }
  };
  setTimeout(look, LOOK_MS);
}

function fail(one, error) {
  one.state = "refused";
  one.why = error.message;
  drawOne(one);
  toast(`${one.name}: ${error.message}`, { error: true });
}

function draw() {
  const box = byId("uploads");
  box.hidden = shown.length === 0;
  const open = shown.filter((one) => ["waits", "sending", "reading"].includes(one.state)).length;
  const list = h("ul", { class: "upload-list" });
  for (const one of shown) {
    one.row = h("li");
    list.append(one.row);
    drawOne(one, { whole: false });
  }
  const title = open ? `${open} of ${shown.length} in progress` : `${shown.length} done`;
  const clear = h("button", { type: "button", class: "quiet", onclick: clearDone }, "Clear");
  replace(box, h("div", { class: "uploads-head" }, h("h2", {}, title), clear), list);
}

function clearDone() {
  const open = shown.filter((one) => ["waits", "sending", "reading"].includes(one.state));
  shown.splice(0, shown.length, ...open);
  draw();
}

const WORDS = { waits: "Waiting", sending: "Sending", reading: "Reading", refused: "Refused" };

function drawOne(one, { whole = true } = {}) {
  if (!one.row) return;
  const done = STATUS[one.state] !== undefined;
  one.row.className = `upload ${one.state}`;
  const bar = h("progress", { max: 1, "aria-label": `Sending ${one.name}` });
  if (one.state === "sending") bar.value = one.share;
  const record = one.record;
  const what = done
    ? [record.merchant?.name, money(record.total, record.currency), reason(record.reason)].filter(Boolean).join(" · ")
    : one.why ?? "";
  const name = one.id && done ? h("a", { href: `#/receipt/${one.id}` }, one.name) : h("span", {}, one.name);
  replace(
    one.row,
    h("span", { class: "upload-name" }, name),
    h("span", { class: `chip ${one.state}` }, STATUS[one.state] ?? WORDS[one.state]),
    done || one.state === "refused" ? h("span", { class: "upload-what" }, what) : bar,
  );
  if (whole && (done || one.state === "refused")) {
    const open = shown.filter((other) => ["waits", "sending", "reading"].includes(other.state)).length;
    const title = byId("uploads").querySelector("h2");
    if (title) title.textContent = open ? `${open} of ${shown.length} in progress` : `${shown.length} done`;
  }
}
