// Calls of the API under /v1. The token, if one is needed, is kept until the tab is closed.

import { byId } from "./dom.js";

const KEY = "receipts-token";
let asking = null;

export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

export function authorization() {
  const token = sessionStorage.getItem(KEY);
  return token ? { Authorization: `Bearer ${token}` } : {};
}

export async function call(path, { method = "GET", body, query, signal, raw = false } = {}) {
  const url = new URL(`/v1${path}`, location.origin);
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of [value].flat()) {
      if (one !== undefined && one !== null && one !== "") url.searchParams.append(name, one);
    }
  }
  const headers = { Accept: "application/json", ...authorization() };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The worker cannot be reached.");
  }
  if (response.status === 401) {
    await askForToken(headers.Authorization !== undefined);
    return call(path, { method, body, query, signal, raw });
  }
  if (raw && response.ok) return response.blob();
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, content.detail ?? "Something went wrong.");
  return content;
}

export function askForToken(refused) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("token-dialog");
    const input = byId("token");
    byId("token-error").hidden = !refused;
    input.value = "";
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    byId("token-form").addEventListener("submit", () => {
      sessionStorage.setItem(KEY, input.value.trim());
      asking = null;
      resolve();
    }, { once: true });
    dialog.showModal();
    input.focus();
  });
  return asking;
}
