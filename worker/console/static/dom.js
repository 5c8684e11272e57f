// Elements are made of text and attributes, never of markup: what a receipt says can only ever be read.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  apply(element, attributes);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false).map(shown));
  return element;
}

// What has no shape, or turns the direction of reading (photo_gpj.exe), is shown as a mark where it stands.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

const shown = (child) => (typeof child === "string" ? plain(child) : child);

export const plain = (text) => text.replace(UNSEEN, "\ufffd");

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  apply(element, attributes);
  element.append(...children.flat().filter(Boolean));
  return element;
}

function apply(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

export const byId = (id) => document.getElementById(id);

export function replace(element, ...children) {
  element.replaceChildren(...children.flat().filter(Boolean));
}

// What stands where nothing can be shown.
export const trouble = (error) => [h("p", { class: "big" }, error.message), h("p", {}, "This page tries again by itself.")];

let clearing;

// Tell people who listen instead of look.
export function say(text) {
  byId("said").textContent = plain(text);
}

export function toast(text, { error = false } = {}) {
  const box = byId("toast");
  box.textContent = plain(text);
  box.classList.toggle("bad", error);
  box.hidden = false;
  clearTimeout(clearing);
  clearing = setTimeout(() => { box.hidden = true; }, error ? 9000 : 4000);
}
