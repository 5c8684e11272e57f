// The console: navigation between views, and keyboard shortcuts.

import { call } from "./api.js";
import * as detail from "./detail.js";
import { byId } from "./dom.js";
import * as list from "./list.js";
import * as live from "./live.js";
import * as uploads from "./uploads.js";

const COUNT_MS = 20000;
let view = null;
let pressed = "";

function route() {
  const [name, id] = location.hash.replace(/^#\/?/, "").split("/");
  view?.close();
  const main = byId("main");
  scrollTo(0, 0);
  const shown = name === "receipt" ? list.shelf.view : name || "list";
  if (name === "receipt" && id) view = detail.open(main, id);
  else if (name === "live") view = live.open(main);
  else view = list.open(main, name in list.VIEWS ? name : "list");
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.view === shown) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${{ review: "Review", failures: "Failures", live: "Live", receipt: "Receipt" }[name] ?? "All"} · Receipts`;
  count();
}

let counting = 0;

async function count() {
  clearTimeout(counting);
  try {
    const { statuses } = await call("/stats", { query: { days: 7 } });
    show("count-review", statuses.needs_review);
    show("count-failures", (statuses.failed ?? 0) + (statuses.rejected ?? 0));
  } catch { /* the view itself reports errors */ }
  counting = setTimeout(count, COUNT_MS);
}

function show(id, number) {
  byId(id).hidden = !number;
  byId(id).textContent = number > 999 ? "999+" : String(number ?? "");
}

const GO = { a: "#/", r: "#/review", f: "#/failures", l: "#/live" };

addEventListener("keydown", (event) => {
  const writing = event.target.closest?.("input:not([type=file]), select, textarea");
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (writing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (pressed === "g" && GO[event.key]) {
    location.hash = GO[event.key];
  } else if (event.key === "?") byId("help-dialog").showModal();
  else if (event.key === "u") uploads.choose();
  else if (event.key === "Enter" && event.target.closest?.("a, button, summary")) return;
  else if (view?.keys[event.key]) view.keys[event.key]();
  else {
    pressed = event.key;
    return;
  }
  pressed = "";
  event.preventDefault();
});

byId("help").addEventListener("click", () => byId("help-dialog").showModal());
addEventListener("hashchange", () => {
  route();
  byId("main").focus({ preventScroll: true }); // screen readers and the Tab key continue in the new view
});
uploads.start({ done: () => { view?.refresh(); count(); } });
route();
