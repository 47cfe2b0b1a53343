/** CSV as RFC 4180 has it. Null is an empty field, and a text that is empty a quoted one. */

export function csvRecord(values: readonly unknown[]): string {
  return `${values.map(fieldOf).join(",")}\r\n`;
}

function fieldOf(value: unknown): string {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text === "" || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
