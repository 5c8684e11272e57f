// Small SVG charts. They are redrawn with each sample at their current width, and have a text label for screen readers.

import { svg } from "./dom.js";

const H = 150;
const PAD = { top: 12, right: 8, bottom: 20, left: 36 };

const ticks = (most) => {
  const step = 10 ** Math.floor(Math.log10(most));
  const nice = [1, 2, 5, 10].map((by) => by * step).find((by) => most / by <= 3) ?? step * 10;
  const found = [];
  for (let at = 0; at <= most + 1e-9; at += nice) found.push(at);
  return found;
};

const short = (value) => (value >= 1000 ? `${+(value / 1000).toFixed(1)}k` : `${+value.toFixed(2)}`);

function frame(label, most, from, to, width) {
  const x = (time) => PAD.left + ((time - from) / Math.max(1, to - from)) * (width - PAD.left - PAD.right);
  const y = (value) => H - PAD.bottom - (value / most) * (H - PAD.top - PAD.bottom);
  const root = svg("svg", { viewBox: `0 0 ${width} ${H}`, role: "img", "aria-label": label });
  for (const value of ticks(most)) {
    root.append(
      svg("line", { class: "grid", x1: PAD.left, x2: width - PAD.right, y1: y(value), y2: y(value) }),
      svg("text", { class: "tick", x: PAD.left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value)),
    );
  }
  const minutes = Math.round((to - from) / 60);
  root.append(
    svg("text", { class: "tick", x: PAD.left, y: H - 4 }, minutes >= 1 ? `${minutes} min ago` : ""),
    svg("text", { class: "tick", x: width - PAD.right, y: H - 4, "text-anchor": "end" }, "now"),
  );
  return { root, x, y };
}

const span = (samples) => {
  const to = samples.at(-1).at;
  return [Math.min(samples[0].at, to - 60), to];
};

const path = (points) => points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

// series: [{ name, read(sample) -> number or null, area }]
export function lines(samples, series, label, width) {
  const [from, to] = span(samples);
  const values = series.flatMap(({ read }) => samples.map(read)).filter((value) => value !== null);
  const { root, x, y } = frame(label, Math.max(1, ...values) * 1.1, from, to, width);
  for (const { name, read, area } of series) {
    const points = samples.filter((one) => read(one) !== null).map((one) => [x(one.at), y(read(one))]);
    if (!points.length) continue;
    if (area) root.append(svg("path", { class: `area ${name}`, d: `${path(points)}L${points.at(-1)[0].toFixed(1)} ${y(0)}L${points[0][0].toFixed(1)} ${y(0)}Z` }));
    root.append(svg("path", { class: `line ${name}`, d: path(points) }));
  }
  return root;
}

// names: keys of outcomes, stacked from the bottom. Samples are grouped into bars of several seconds.
export function bars(samples, names, label, width) {
  const [from, to] = span(samples);
  const span_s = Math.max(10, (to - from) / 45);
  const buckets = new Map();
  for (const one of samples) {
    const at = Math.floor(one.at / span_s);
    const bucket = buckets.get(at) ?? Object.fromEntries(names.map((name) => [name, 0]));
    for (const name of names) bucket[name] += one.outcomes[name];
    buckets.set(at, bucket);
  }
  const total = (bucket) => names.reduce((sum, name) => sum + bucket[name], 0);
  const { root, x, y } = frame(label, Math.max(1, ...[...buckets.values()].map(total)) * 1.1, from, to, width);
  for (const [at, bucket] of buckets) {
    let below = 0;
    const left = Math.max(PAD.left, x(at * span_s));
    const right = Math.min(width - PAD.right, x((at + 1) * span_s) - 1.5);
    for (const name of names) {
      if (!bucket[name] || right <= left) continue;
      const top = y(below + bucket[name]);
      root.append(svg("rect", { class: `bar ${name}`, x: left, y: top, width: right - left, height: y(below) - top, rx: 1 }));
      below += bucket[name];
    }
  }
  return root;
}
