// The worker's current state: queue, outcomes, latency and totals.

import { call } from "./api.js";
import { bars, lines } from "./charts.js";
import { h, replace, trouble } from "./dom.js";
import { STATUS, money, seconds } from "./format.js";

const LOOK_MS = 2000;
const OUTCOMES = ["extracted", "needs_review", "rejected", "failed"];

export function open(main) {
  const state = { samples: [], alive: true, timer: 0 };
  const tiles = h("div", { class: "tiles" });
  const charts = h("div", { class: "charts" });
  const spent = h("div", { class: "spent" });
  replace(main, h("div", { class: "head" }, h("h1", {}, "Live")), tiles, charts, h("h2", { class: "section" }, "Last seven days"), spent);

  async function look() {
    try {
      const since = state.samples.at(-1)?.at ?? 0;
      const live = await call("/live", { query: { since } });
      if (!state.alive) return;
      state.samples = [...state.samples, ...live.samples].slice(-450);
      if (state.samples.length) draw();
    } catch (error) {
      if (state.alive && !state.samples.length) replace(tiles, h("div", { class: "empty", role: "alert" }, trouble(error)));
    }
    if (state.alive) state.timer = setTimeout(look, LOOK_MS);
  }

  function draw() {
    const width = Math.max(260, (charts.querySelector("svg") ?? charts).clientWidth);
    const now = state.samples.at(-1);
    const minute = state.samples.filter((one) => one.at > now.at - 60);
    const done = minute.reduce((sum, one) => sum + OUTCOMES.reduce((all, name) => all + one.outcomes[name], 0), 0);
    const latest = [...state.samples].reverse().find((one) => one.p50_s !== null);
    replace(
      tiles,
      tile("Waiting", now.queue.waiting), tile("In flight", now.queue.in_flight),
      tile("Dead letters", now.queue.dead_letters ?? "-", now.queue.dead_letters ? "bad" : ""),
      tile("Tasks", now.tasks ?? "-"), tile("Done in the last minute", done), tile("Median time", seconds(latest?.p50_s)),
    );
    replace(
      charts,
      chart("Queue", [["waiting", "waiting"], ["in_flight", "in flight"]], lines(
        state.samples,
        [{ name: "waiting", read: (one) => one.queue.waiting, area: true }, { name: "in_flight", read: (one) => one.queue.in_flight }],
        `Queue: ${now.queue.waiting} waiting, ${now.queue.in_flight} in flight.`, width,
      )),
      chart("Outcomes", OUTCOMES.map((name) => [name, STATUS[name].toLowerCase()]), bars(
        state.samples, OUTCOMES, `Outcomes: ${done} receipts in the last minute.`, width,
      )),
      chart("Time to read a receipt, seconds", [["p50", "median"], ["p95", "95th percentile"]], lines(
        state.samples,
        [{ name: "p95", read: (one) => one.p95_s }, { name: "p50", read: (one) => one.p50_s }],
        `Time to read a receipt: median ${seconds(latest?.p50_s)}, 95th percentile ${seconds(latest?.p95_s)}.`, width,
      )),
      chart("Slots in use", [["working", "receipts in flight"], ["limit", "limit of endpoint calls"]], lines(
        state.samples,
        [{ name: "working", read: (one) => one.working, area: true }, { name: "limit", read: (one) => one.limit }],
        `Slots: ${now.working} receipts in flight in this worker, at most ${now.limit} endpoint calls at a time.`, width,
      )),
    );
  }

  async function drawSpent() {
    try {
      const counted = await call("/stats", { query: { days: 7 } });
      if (!state.alive) return;
      const days = Object.entries(counted.days);
      const rows = counted.merchants.slice(0, 8);
      replace(
        spent,
        h(
          "div", { class: "card" }, h("h3", {}, "Receipts per day"),
          days.length ? h("ul", { class: "days" }, days.map(([day, counts]) => dayRow(day, counts, days))) : h("p", {}, "None yet."),
        ),
        h(
          "div", { class: "card" }, h("h3", {}, "Spent"),
          counted.currencies.length ? null : h("p", {}, "Nothing yet."),
          h("table", { class: "sums" }, h("caption", { class: "visually-hidden" }, "Sums by currency and merchant"),
            h("thead", { class: "visually-hidden" }, h("tr", {}, h("th", { scope: "col" }, "Name"), h("th", { scope: "col" }, "Receipts"), h("th", { scope: "col" }, "Sum"))),
            h("tbody", {}, [
              ...counted.currencies.map((one) => sumRow(`Total in ${one.name}`, one, "strong")),
              ...rows.map((one) => sumRow(one.name, one)),
            ])),
        ),
      );
    } catch { /* the tiles report errors */ }
  }

  look();
  drawSpent();
  return { close() { state.alive = false; clearTimeout(state.timer); }, refresh: drawSpent, keys: {} };
}

const tile = (name, value, kind = "") => h("div", { class: `tile ${kind}` }, h("span", { class: "tile-value" }, String(value)), h("span", { class: "tile-name" }, name));

function chart(name, legend, drawing) {
  return h(
    "figure", { class: "chart card" },
    h("figcaption", {}, h("h2", {}, name), h("span", { class: "legend" }, legend.map(([key, label]) => h("span", { class: `key ${key}` }, label)))),
    drawing,
  );
}

function dayRow(day, counts, days) {
  const total = (one) => Object.values(one).reduce((sum, count) => sum + count, 0);
  const most = Math.max(...days.map(([, one]) => total(one)));
  const meter = h("span", { class: "meter" });
  for (const name of OUTCOMES) {
    if (!counts[name]) continue;
    const part = h("span", { class: `part ${name}` });
    part.style.width = `${(counts[name] / most) * 100}%`;
    meter.append(part);
  }
  return h("li", {}, h("span", { class: "day" }, new Date(`${day}T12:00:00`).toLocaleDateString(undefined, { weekday: "short", day: "numeric", month: "short" })), meter, h("span", { class: "number" }, String(total(counts))));
}

const sumRow = (name, one, kind = "") => h("tr", { class: kind }, h("td", {}, name), h("td", { class: "right number" }, String(one.count)), h("td", { class: "right number" }, money(one.total, one.currency)));
