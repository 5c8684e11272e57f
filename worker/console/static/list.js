// Lists of receipts: all receipts with filters, receipts to review, and failures.

import { call } from "./api.js";
import { h, replace, say, toast, trouble } from "./dom.js";
import { STATUS, ago, day, directory, fileName, money, reason } from "./format.js";
import { choose } from "./uploads.js";

const PAGE = 50;
const REFRESH_MS = 6000;

export const VIEWS = {
  list: { title: "Receipts", fixed: {} },
  review: { title: "Review", fixed: { status: ["needs_review"] } },
  failures: { title: "Failures", fixed: { status: ["failed", "rejected"] } },
};

// The receipts that were listed last. On a receipt's page, j and k step through them.
export const shelf = { ids: [], view: "list", at: 0 };
const kept = {};

export function open(main, view) {
  const state = { view, rows: [], cursor: null, chosen: new Set(), at: 0, alive: true, timer: 0, pages: 1 };
  const filters = kept[view] ?? {};
  kept[view] = filters;
  const body = h("tbody");
  const table = h(
    "table",
    { class: "receipts" },
    h("caption", { class: "visually-hidden" }, `${VIEWS[view].title}, newest first`),
    h("thead", {}, h("tr", {}, ...columns(view).map((name) => h("th", { scope: "col", class: name === "Total" ? "right" : null }, name)))),
    body,
  );
  const more = h("button", { type: "button", class: "more", hidden: true }, "Show more");
  const note = h("p", { class: "note", "aria-live": "polite" });
  const empty = h("div", { class: "empty", hidden: true });
  const actions = h("div", { class: "head-actions" });
  const scroll = h("div", { class: "table-wrap" }, table);
  replace(
    main,
    h("div", { class: "head" }, h("h1", {}, VIEWS[view].title), actions),
    view === "list" ? filterBar(filters, () => load()) : null,
    scroll,
    empty,
    h("div", { class: "foot" }, more, note),
  );
  more.addEventListener("click", () => load({ append: true }));
  if (view === "failures") {
    const again = h("button", { type: "button", class: "primary" }, "Read all of these again");
    again.addEventListener("click", () => replay(state.rows.map((row) => row.id)));
    actions.append(again);
  }

  async function load({ append = false, quiet = false } = {}) {
    clearTimeout(state.timer);
    try {
      const query = { ...VIEWS[view].fixed, ...filters, limit: PAGE };
      const page = await call("/receipts", { query: append ? { ...query, cursor: state.cursor } : query });
      if (!state.alive) return;
      state.pages = append ? state.pages + 1 : 1;
      const same = quiet && signature(page.receipts) === signature(state.rows);
      state.cursor = page.cursor;
      if (!same) {
        state.rows = append ? [...state.rows, ...page.receipts] : page.receipts;
        draw();
      }
      more.hidden = !page.cursor;
      const filtered = Object.values(filters).some((value) => value !== "" && value !== undefined);
      note.textContent = state.rows.length
        ? `${state.rows.length} shown`
        : page.cursor ? `None of the newest ${page.read} matches. “Show more” searches further back.` : "";
      replace(empty, ...(state.rows.length || page.cursor ? [] : emptiness(view, filtered)));
      empty.hidden = empty.childElementCount === 0;
      scroll.hidden = state.rows.length === 0;
      if (!quiet) say(`${state.rows.length} receipts`);
    } catch (error) {
      if (state.alive && !state.rows.length) {
        scroll.hidden = true;
        empty.hidden = false;
        replace(empty, ...trouble(error));
      } else if (state.alive && !quiet) toast(error.message, { error: true });
    }
    if (state.alive) state.timer = setTimeout(refresh, REFRESH_MS);
  }

  function refresh() {
    if (document.hidden || state.pages > 1) state.timer = setTimeout(refresh, REFRESH_MS);
    else load({ quiet: true });
  }

  function draw() {
    shelf.ids = state.rows.map((row) => row.id);
    shelf.view = view;
    const keep = body.contains(document.activeElement);
    replace(body, ...state.rows.map((row, at) => line(row, view, at)));
    select(Math.min(shelf.at, state.rows.length - 1), { focus: keep });
  }

  function select(at, { focus = true } = {}) {
    if (!state.rows.length) return;
    state.at = Math.max(0, Math.min(at, state.rows.length - 1));
    shelf.at = state.at;
    for (const row of body.children) row.classList.remove("current");
    const row = body.children[state.at];
    row.classList.add("current");
    if (focus) {
      row.querySelector("a").focus({ preventScroll: true });
      row.scrollIntoView({ block: "nearest" });
    }
  }

  async function replay(ids) {
    if (!ids.length) return;
    try {
      let sent = 0;
      for (let start = 0; start < ids.length; start += 500) {
        const done = await call("/replays", { method: "POST", body: { ids: ids.slice(start, start + 500) } });
        sent += done.sent;
      }
      toast(`${sent} receipts will be read again.`);
    } catch (error) {
      toast(error.message, { error: true });
    }
  }

  load();
  return {
    close() { state.alive = false; clearTimeout(state.timer); },
    refresh: () => load({ quiet: true }),
    keys: {
      j: () => select(body.querySelector("a:focus") ? state.at + 1 : state.at),
      k: () => select(state.at - 1),
      Enter: () => { if (state.rows[state.at]) location.hash = `#/receipt/${state.rows[state.at].id}`; },
      "/": () => main.querySelector("[name=merchant_like]")?.focus(),
      r: () => { if (state.rows[state.at] && view === "failures") replay([state.rows[state.at].id]); },
    },
  };
}

const signature = (rows) => rows.map((row) => `${row.id} ${row.stored_at} ${row.status} ${row.total} ${row.reviewed_at}`).join("\n");

function columns(view) {
  return view === "failures" ? ["Status", "Document", "Reason", "Uploaded"] : ["Status", "Merchant", "Date", "Total", "Uploaded", "Notes"];
}

function line(row, view, at) {
  const href = `#/receipt/${row.id}`;
  const chip = h("span", { class: `chip ${row.status}` }, STATUS[row.status]);
  const uploaded = h("time", { datetime: row.uploaded_at, title: row.uploaded_at }, ago(row.uploaded_at));
  const go = (event) => {
    shelf.at = at;
    if (!event.target.closest("a, button")) location.hash = href;
  };
  if (view === "failures") {
    return h(
      "tr", { onclick: go },
      h("td", { "data-name": "Status" }, chip),
      h(
        "td", { "data-name": "Document", class: "main-cell" },
        h("a", { href }, fileName(row.document)), h("span", { class: "where" }, directory(row.document)),
      ),
      h("td", { "data-name": "Reason" }, reason(row.reason)),
      h("td", { "data-name": "Uploaded" }, uploaded),
    );
  }
  return h(
    "tr", { onclick: go },
    h("td", { "data-name": "Status" }, chip),
    h("td", { "data-name": "Merchant", class: "main-cell" }, h("a", { href }, row.merchant.name ?? fileName(row.document))),
    h("td", { "data-name": "Date", class: "number" }, day(row.purchase_date)),
    h("td", { "data-name": "Total", class: "right number" }, money(row.total, row.currency)),
    h("td", { "data-name": "Uploaded" }, uploaded),
    h("td", { "data-name": "Notes", class: "notes" }, notes(row)),
  );
}

function notes(row) {
  const said = [];
  if (row.possible_duplicate_of) said.push(h("span", { class: "tag" }, "Possible duplicate"));
  if (row.reviewed_at) said.push(h("span", { class: "tag done" }, "Approved"));
  if (row.reason) said.push(h("p", {}, reason(row.reason)));
  // Failed checks no longer matter once a person has approved the receipt.
  if (!row.reviewed_at) said.push(...row.checks.map((check) => h("p", {}, check.message)));
  return said;
}

function emptiness(view, filtered) {
  if (filtered) return [h("p", {}, "No receipt matches these filters.")];
  if (view === "review") return [h("p", { class: "big" }, "Nothing to review."), h("p", {}, "Receipts that fail a check appear here.")];
  if (view === "failures") return [h("p", { class: "big" }, "No failures."), h("p", {}, "Uploads that could not be read appear here with the reason.")];
  return [
    h("p", { class: "big" }, "No receipts yet."),
    h("p", {}, "Drop photos, scans or PDFs anywhere on this page."),
    h("button", { type: "button", class: "primary", onclick: choose }, "Choose files"),
  ];
}

function filterBar(filters, changed) {
  const field = (name, label, attributes) => h(
    "label", { class: "filter" }, h("span", {}, label),
    h("input", { name, value: filters[name] ?? "", autocomplete: "off", ...attributes }),
  );
  const status = h(
    "label", { class: "filter" }, h("span", {}, "Status"),
    h(
      "select", { name: "status" }, h("option", { value: "" }, "any"),
      ...Object.entries(STATUS).map(([value, name]) => h("option", { value, selected: filters.status === value }, name)),
    ),
  );
  // Collapsed on phones, always visible on desktops.
  const fold = h("button", { type: "button", class: "link fold", "aria-expanded": "false" }, "More filters");
  fold.addEventListener("click", () => fold.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") !== "true")));
  const more = h(
    "div", { class: "more-filters" },
    field("purchased_from", "Bought from", { type: "date" }),
    field("purchased_to", "Bought until", { type: "date" }),
    field("total_from", "Total from", { type: "number", step: "0.01", inputmode: "decimal" }),
    field("total_to", "Total to", { type: "number", step: "0.01", inputmode: "decimal" }),
    h("button", { type: "reset", class: "quiet" }, "Clear"),
  );
  const form = h(
    "form", { class: "filters", role: "search", "aria-label": "Filters" },
    field("merchant_like", "Merchant", { type: "search", placeholder: "part of the name" }),
    status,
    fold,
    more,
  );
  let timer;
  const read = () => {
    for (const [name, value] of new FormData(form)) filters[name] = value;
    changed();
  };
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(read, 250); });
  form.addEventListener("submit", (event) => { event.preventDefault(); read(); });
  form.addEventListener("reset", () => setTimeout(read));
  return form;
}
