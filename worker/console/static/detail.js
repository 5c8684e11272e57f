// One receipt: its image next to its fields, with failed checks marked and fields that can be corrected in place.

import { call } from "./api.js";
import { h, plain, replace, say, toast } from "./dom.js";
import { STATUS, ago, decimals, fileName, money, percent, places, reason, seconds } from "./format.js";
import { viewer } from "./image.js";
import { shelf } from "./list.js";

const SURE = 0.8;
// Fields that are always stored in upper or lower case.
const CASE = { currency: "toUpperCase", country: "toUpperCase", language: "toLowerCase" };

const GROUPS = [
  ["Purchase", [
    ["merchant.name", "Merchant", "long"], ["purchase_date", "Date", "date"], ["purchase_time", "Time"], ["total", "Total", "money"],
    ["currency", "Currency"],
  ]],
  ["Amounts", [["subtotal", "Subtotal", "money"], ["discount", "Discount", "money"], ["tip", "Tip", "money"]]],
  ["Payment", [["payment.method", "Paid by"], ["payment.card_last_four", "Card ends with"], ["receipt_number", "Receipt number"]]],
  ["Merchant", [
    ["merchant.address", "Address", "long"], ["merchant.phone", "Phone"], ["merchant.tax_id", "Tax id"], ["country", "Country"],
    ["language", "Language"],
  ]],
];

// The field that a check is about, by the start of the check's name.
const MARKS = [["total", "total"], ["sum", "total"], ["date", "purchase_date"], ["merchant", "merchant.name"],
  ["currency", "currency"], ["item", "items"], ["tax", "taxes"], ["subtotal", "subtotal"]];

export function open(main, id) {
  const state = { record: null, alive: true, saving: Promise.resolve(), draft: null };
  const back = shelf.view === "list" ? "#/" : `#/${shelf.view}`;
  const title = h("h1", {}, "…");
  const chip = h("span", { class: "chip" });
  const place = h("span", { class: "place" });
  const approve = h("button", { type: "button", class: "primary", onclick: doApprove, hidden: true }, "Approve");
  const again = h("button", { type: "button", onclick: () => doReplay() }, "Read again");
  const side = h("div", { class: "side" });
  const picture = viewer(id);
  replace(
    main,
    h(
      "div", { class: "head detail-head" },
      h("a", { class: "back", href: back, "aria-label": "Back to the list" }, "←"),
      h("div", { class: "head-title" }, title, chip, place),
      h("div", { class: "head-actions" }, again, approve),
    ),
    h("div", { class: "detail" }, picture.element, side),
  );

  async function load() {
    try {
      show(await call(`/receipts/${id}`));
      say(`${title.textContent}, ${chip.textContent}`);
      picture.load(state.record);
    } catch (error) {
      if (!state.alive) return;
      replace(main, h("div", { class: "empty" }, h("h1", {}, "Not found"), h("p", {}, error.message), h("a", { href: back }, "Back to the list")));
    }
  }

  function show(record) {
    if (!state.alive) return;
    state.record = record;
    title.textContent = plain(record.merchant.name ?? fileName(record.document));
    document.title = `${title.textContent} · Receipts`;
    chip.className = `chip ${record.status}`;
    chip.textContent = STATUS[record.status];
    const at = shelf.ids.indexOf(id);
    place.textContent = at >= 0 ? `${at + 1} of ${shelf.ids.length}` : "";
    const approved = record.status === "extracted" && record.reviewed_at;
    approve.hidden = approved || !record.receipt && !Object.keys(record.corrections).length;
    draw();
  }

  // A field that is being edited is not redrawn; that waits until the field loses the focus.
  function draw() {
    const record = state.record;
    const marks = marked(record);
    const at = side.contains(document.activeElement) ? document.activeElement : null;
    state.stale = at?.matches("input, textarea") && (at.type === "date" || at.value !== at.dataset.was);
    if (state.stale) return;
    // If the focused button disappears, the focus moves to the field that it belongs to.
    const near = at?.closest(".field, section, details")?.querySelector("input, textarea");
    const place = at && { id: at.id, near: near?.id, from: at.selectionStart, to: at.selectionEnd };
    replace(
      side,
      ...banners(record),
      checks(record),
      group(...GROUPS[0], record, marks),
      items(record, marks),
      taxes(record, marks),
      ...GROUPS.slice(1).map(([name, fields]) => group(name, fields, record, marks)),
      about(record),
    );
    const same = place?.id ? document.getElementById(place.id) : null;
    (same ?? document.getElementById(place?.near))?.focus({ preventScroll: true });
    if (same?.matches("input, textarea") && same.type !== "date") same.setSelectionRange(place.from, place.to);
  }

  side.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget?.matches("button, a, summary")) return; // the control that is being clicked must not be replaced
    setTimeout(() => { if (state.alive && state.stale) draw(); });
  });

  function group(name, fields, record, marks) {
    const quiet = name !== "Purchase" && fields.every(([path]) => read(record, path) === null && !(path in record.corrections));
    const rows = fields.map(([path, label, kind]) => fieldRow(path, label, kind, record, marks));
    if (!quiet) return h("section", { class: "card", "aria-label": name }, h("h2", {}, name), h("div", { class: "fields" }, rows));
    return h("details", { class: "card" }, h("summary", {}, `${name}: nothing read`), h("div", { class: "fields" }, rows));
  }

  function fieldRow(path, label, kind, record, marks) {
    const inputId = `f-${path.replace(".", "-")}`;
    const raw = read(record, path);
    const value = kind === "money" ? decimals(raw, record.currency) : raw;
    const sure = record.field_confidence?.[path];
    const fixed = path in record.corrections;
    const mark = marks[path];
    const doubtful = !fixed && sure !== undefined && sure < SURE;
    const notes = [];
    if (mark) notes.push(h("span", { class: "mark" }, mark));
    if (fixed) {
      const before = said(record, path);
      notes.push(h("span", { class: "said" }, `The model read: ${(kind === "money" ? decimals(before, record.currency) : before) ?? "nothing"}`));
      notes.push(h("button", { type: "button", class: "link", onclick: () => withdraw(path) }, "Undo correction"));
    } else if (doubtful) notes.push(h("span", { class: "mark" }, `Confidence only ${percent(sure)}`));
    const noteId = `${inputId}-note`;
    const input = h(kind === "long" ? "textarea" : "input", {
      id: inputId, rows: kind === "long" ? 1 : null, value: value ?? "", autocomplete: "off", spellcheck: "false",
      type: kind === "long" ? null : kind === "date" ? "date" : "text", inputmode: kind === "money" ? "decimal" : null,
      placeholder: "not read", class: kind === "money" ? "number" : null,
      "aria-describedby": notes.length ? noteId : null, "aria-invalid": mark && !fixed ? "true" : null,
    });
    input.dataset.was = input.value;
    input.addEventListener("change", () => {
      const text = CASE[path] ? input.value.trim()[CASE[path]]() : input.value.trim();
      if (text !== (value ?? "")) correct(() => ({ [path]: text === "" ? null : amount(text, kind, record.currency) }), label);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Enter") { event.preventDefault(); input.blur(); }
      if (event.key === "Escape") { input.value = value ?? ""; input.blur(); event.stopPropagation(); }
    });
    return h(
      "div", { class: ["field", mark && !fixed ? "wrong" : "", fixed ? "fixed" : "", doubtful ? "doubtful" : ""].join(" ") },
      h("label", { for: inputId }, label), input, notes.length ? h("div", { class: "field-note", id: noteId }, notes) : null,
    );
  }

  function items(record, marks) {
    return lines("items", "Items", [["description", "Description"], ["quantity", "Qty"], ["unit_price", "Price"], ["amount", "Amount"]], record, marks);
  }

  function taxes(record, marks) {
    return lines("taxes", "Taxes", [["description", "Tax"], ["rate", "%"], ["net", "Net"], ["amount", "Amount"]], record, marks);
  }

  function lines(path, name, columns, record, marks) {
    const saved = record[path];
    const rows = state.draft === path ? [...saved, {}] : saved; // a new line is only stored once it has content
    // Hide columns without any value.
    columns = columns.filter(([key]) => key === "description" || key === "amount" || rows.some((row) => row[key] !== null && row[key] !== undefined));
    // All lines form one correction, so each change is applied to the result of the previous one.
    const edit = (how) => correct((now) => ({ [path]: how(now[path]) }), name);
    const change = (at, key, text) => {
      const said = text === "" ? null : key === "description" ? text : amount(text, key === "amount" || key === "net" ? "money" : "number", record.currency);
      if (at === saved.length) state.draft = null;
      edit((lines) => Object.assign([...lines], { [at]: { ...lines[at], [key]: said } }));
    };
    const drop = (at) => {
      if (at < saved.length) return edit((lines) => lines.filter((_, other) => other !== at));
      state.draft = null;
      return draw();
    };
    const cell = (row, at, key, label) => {
      const value = key === "amount" || key === "net" || key === "unit_price" ? decimals(row[key], record.currency) : row[key];
      const words = key === "description";
      const input = h(words ? "textarea" : "input", {
        id: `f-${path}-${at}-${key}`, rows: words ? 1 : null, value: value ?? "", "aria-label": `${label}, ${name.toLowerCase()} ${at + 1}`, autocomplete: "off",
        class: words ? null : "number", inputmode: words ? null : "decimal",
      });
      input.dataset.was = input.value;
      input.addEventListener("change", () => { if (input.value.trim() !== (value ?? "")) change(at, key, input.value.trim()); });
      input.addEventListener("keydown", (event) => {
        if (event.key === "Enter") { event.preventDefault(); input.blur(); }
        if (event.key === "Escape") { input.value = value ?? ""; input.blur(); event.stopPropagation(); }
      });
      return h("td", {}, input);
    };
    const remove = (at) => h(
      "td", { class: "tool" },
      h("button", { type: "button", id: `x-${path}-${at}`, class: "quiet icon", "aria-label": `Remove ${name.toLowerCase()} ${at + 1}`, onclick: () => drop(at) }, "×"),
    );
    const add = h("button", { type: "button", class: "link", onclick: () => {
      state.draft = path;
      draw();
      document.getElementById(`f-${path}-${saved.length}-description`)?.focus();
    } }, "Add a line");
    const foot = h("div", { class: "field-note" }, add);
    if (path in record.corrections) {
      foot.append(
        h("span", { class: "said" }, `Corrected; the model read ${said(record, path)?.length ?? 0}`),
        h("button", { type: "button", class: "link", onclick: () => withdraw(path) }, "Undo correction"),
      );
    }
    const table = rows.length ? h(
      "div", { class: "lines-wrap" },
      h(
        "table", { class: "lines" },
        h("caption", { class: "visually-hidden" }, name),
        h("thead", {}, h("tr", {}, ...columns.map(([key, label]) => h("th", { scope: "col", class: key === "description" ? null : "right" }, label)), h("td"))),
        h("tbody", {}, rows.map((row, at) => h("tr", {}, ...columns.map(([key, label]) => cell(row, at, key, label)), remove(at)))),
      ),
    ) : null;
    const mark = marks[path] ? h("p", { class: "mark" }, marks[path]) : null;
    if (!rows.length && !mark) return h("details", { class: "card" }, h("summary", {}, `${name}: none read`), foot);
    return h("section", { class: `card ${mark ? "wrong" : ""}`, "aria-label": name }, h("h2", {}, `${name} (${saved.length})`), mark, table, foot);
  }

  // `said` returns the corrections for the current record.
  function correct(said, label) {
    return change((record) => ({ corrections: said(record) }), `${label} corrected.`);
  }

  function withdraw(path) {
    return change(() => ({ withdraw: [path] }), "Correction undone.");
  }

  // Changes are sent one at a time, because each needs the revision that the previous one created.
  function change(body, done) {
    state.saving = state.saving.then(async () => {
      try {
        show(await call(`/receipts/${id}/corrections`, { method: "PATCH", body: { ...body(state.record), revision: state.record.revision } }));
        say(done);
      } catch (error) {
        toast(error.message, { error: true });
        if (error.status === 409) await load();
        else draw();
      }
    });
    return state.saving;
  }

  async function doApprove() {
    document.activeElement?.blur?.();
    await state.saving;
    try {
      const record = await call(`/receipts/${id}/approval`, { method: "POST", body: { revision: state.record.revision } });
      toast(`${record.merchant?.name ?? fileName(record.document)}: approved.`);
      const at = shelf.ids.indexOf(id);
      if (shelf.view === "review" && at >= 0) {
        const next = shelf.ids[at + 1] ?? shelf.ids[at - 1];
        shelf.ids.splice(at, 1);
        location.hash = next ? `#/receipt/${next}` : "#/review";
      } else show(record);
    } catch (error) {
      toast(error.message, { error: true });
      if (error.status === 409) await load();
    }
  }

  async function doReplay() {
    const before = state.record;
    again.disabled = true;
    try {
      const forced = before.receipt !== null;
      await call("/replays", { method: "POST", body: { ids: [id], force: forced } });
      toast("Reading again …");
      for (let look = 0; state.alive && look < 90; look += 1) {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        const record = await call(`/receipts/${id}`);
        if (record.stored_at !== before.stored_at) {
          show(record);
          toast("Read again.");
          break;
        }
      }
    } catch (error) {
      toast(error.message, { error: true });
    } finally {
      again.disabled = false;
    }
  }

  function step(by) {
    const at = shelf.ids.indexOf(id);
    const next = shelf.ids[at + by];
    if (at >= 0 && next) {
      shelf.at = at + by;
      location.hash = `#/receipt/${next}`;
    }
  }

  load();
  return {
    close() { state.alive = false; picture.close(); },
    refresh() {},
    keys: {
      j: () => step(1),
      k: () => step(-1),
      a: () => { if (!approve.hidden) doApprove(); },
      r: () => { if (!again.disabled) doReplay(); },
      e: () => side.querySelector("input, textarea")?.select(),
      Escape: () => { location.hash = back; },
      "+": () => picture.zoom(1.25),
      "=": () => picture.zoom(1.25),
      "-": () => picture.zoom(0.8),
      0: () => picture.reset(),
      t: () => picture.turn(),
    },
  };
}

function read(record, path) {
  const [name, part] = path.split(".");
  const value = part ? record[name]?.[part] : record[name];
  return value ?? null;
}

function said(record, path) {
  const [name, part] = path.split(".");
  const value = part ? record.receipt?.[name]?.[part] : record.receipt?.[name];
  return value ?? null;
}

// A person may write 1.234,50 or 1,234.50. The last separator is the decimal one, unless three digits follow it and the
// currency does not have three decimal places: then it separates thousands.
function amount(text, kind, currency) {
  if (kind !== "money" && kind !== "number") return text;
  const plain = text.replace(/[\s'’]/g, "");
  const marks = plain.match(/[.,]/g) ?? [];
  const at = Math.max(plain.lastIndexOf(","), plain.lastIndexOf("."));
  if (at < 0) return plain;
  const after = plain.length - at - 1;
  const same = new Set(marks).size === 1;
  const thousands = kind === "money" && same && after === 3 && places(currency) !== 3;
  if (thousands || (same && marks.length > 1)) return plain.replace(/[.,]/g, "");
  return `${plain.slice(0, at).replace(/[.,]/g, "")}.${plain.slice(at + 1)}`;
}

function marked(record) {
  const marks = {};
  for (const check of record.checks) {
    const path = MARKS.find(([start]) => check.name.startsWith(start))?.[1];
    if (path) marks[path] = marks[path] ? `${marks[path]} ${check.message}` : check.message;
  }
  return marks;
}

function banners(record) {
  const found = [];
  if (record.reason) found.push(h("p", { class: "banner bad" }, `${reason(record.reason)}. ${record.detail ?? ""}`));
  if (record.possible_duplicate_of) {
    const id = btoa(String.fromCharCode(...new TextEncoder().encode(record.possible_duplicate_of)))
      .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
    found.push(h("p", { class: "banner" }, "Possible duplicate of ", h("a", { href: `#/receipt/${id}` }, fileName(record.possible_duplicate_of)), "."));
  }
  return found;
}

function checks(record) {
  if (!record.checks.length) return null;
  return h(
    "section", { class: "card checks", "aria-label": "Failed checks" },
    h("h2", {}, "Failed checks"), h("ul", {}, record.checks.map((check) => h("li", {}, check.message))),
  );
}

function about(record) {
  const model = record.model;
  const facts = [
    ["File", fileName(record.document)],
    ["Uploaded", ago(record.uploaded_at)],
    ["Read in", seconds((Date.parse(record.stored_at) - Date.parse(record.uploaded_at)) / 1000)],
    ["Confidence", percent(record.confidence)],
    ["Model", model ? [model.endpoint, model.variant, model.model_version].filter(Boolean).join(" ") : ""],
    ["Approved", record.reviewed_at ? ago(record.reviewed_at) : ""],
    ["Type", record.media_type],
    ["Document", record.document],
    ["Trace", record.trace_id],
  ];
  const history = record.history.map((entry) => h(
    "li", {},
    `${money(entry.receipt?.total, entry.receipt?.currency) || "no total"}, ${entry.receipt?.merchant?.name ?? "no merchant"}`,
    h("span", { class: "said" }, ` ${entry.model?.model_version ?? entry.model?.endpoint ?? ""} ${ago(entry.stored_at)}`),
  ));
  return h(
    "details", { class: "card" }, h("summary", {}, "About this record"),
    h("dl", { class: "facts" }, facts.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    history.length ? h("h3", {}, "Earlier readings") : null, history.length ? h("ul", { class: "history" }, history) : null,
  );
}
