// Builds elements from text and attributes, never from markup, so that text from a receipt cannot become HTML.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  apply(element, attributes);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false).map(shown));
  return element;
}

// Invisible characters, and those that change the reading direction (photo_gpj.exe), are replaced by a visible mark.
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

// The content of a view that cannot be loaded.
export const trouble = (error) => [h("p", { class: "big" }, error.message), h("p", {}, "This page retries automatically.")];

let clearing;

// Announce a text to screen readers.
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
