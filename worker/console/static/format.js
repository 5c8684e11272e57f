// Formats values for display.

export const STATUS = { extracted: "Extracted", needs_review: "Needs review", rejected: "Rejected", failed: "Failed" };

const REASONS = {
  too_large: "Too large",
  not_an_image: "Not an image",
  unsupported: "Unsupported format",
  empty: "Empty file",
  missing: "The object no longer exists",
};

export function reason(code) {
  if (!code) return "";
  return REASONS[code] ?? sentence(code.replaceAll("_", " "));
}

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// Number of decimal places of a currency.
export function places(currency) {
  try {
    return new Intl.NumberFormat(undefined, { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
  } catch {
    return 2;
  }
}

// An amount for an input field, with the currency's decimal places: 6.7 euros become 6.70.
export function decimals(amount, currency) {
  if (!/^-?\d+(\.\d+)?$/.test(amount ?? "")) return amount;
  const [whole, part = ""] = amount.split(".");
  const kept = part.padEnd(places(currency), "0");
  return kept ? `${whole}.${kept}` : whole;
}

export function money(amount, currency) {
  if (amount === null || amount === undefined) return "";
  const number = Number(amount);
  if (!Number.isFinite(number)) return `${amount} ${currency ?? ""}`.trim();
  if (currency) {
    try {
      const options = { style: "currency", currency, currencyDisplay: "code" };
      const usual = places(currency);
      const said = String(amount).replace(/0+$/, "").split(".")[1]?.length ?? 0;
      return new Intl.NumberFormat(undefined, { ...options, maximumFractionDigits: Math.max(usual, Math.min(said, 9)) }).format(number);
    } catch { /* the browser does not know the currency code */ }
  }
  return `${new Intl.NumberFormat(undefined, { minimumFractionDigits: 2 }).format(number)} ${currency ?? ""}`.trim();
}

export function day(iso) {
  if (!iso) return "";
  const date = new Date(`${iso.slice(0, 10)}T12:00:00`);
  return date.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}

export function ago(iso) {
  const seconds = Math.max(0, (Date.now() - Date.parse(iso)) / 1000);
  const steps = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [7 * 86400, "day", 86400]];
  const step = steps.find(([limit]) => seconds < limit);
  if (!step) return day(iso);
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(-Math.floor(seconds / step[2]), step[1]);
}

export const fileName = (document) => document.slice(document.lastIndexOf("/") + 1);

export const directory = (document) => document.slice(0, document.lastIndexOf("/") + 1);

export function seconds(value) {
  if (value === null || value === undefined) return "-";
  return value < 10 ? `${value.toFixed(1)} s` : `${Math.round(value)} s`;
}

export const percent = (share) => (share === null || share === undefined ? "" : `${Math.round(share * 100)} %`);
