/** What a cell may hold; lists are joined by the caller, who knows what separates them. */
export type Cell = string | number | boolean | undefined;

/** Spreadsheets take a text that begins like this for a formula (OWASP, "CSV Injection"). */
const FORMULA = /^[=+\-@\t\r\n]/;

/**
 * One record of RFC 4180: quoted where it has to be, ended by CRLF. A text a spreadsheet would take for a formula
 * is given a leading apostrophe, for what agents report is not ours and is opened on an analyst's machine.
 */
export const csvRecord = (cells: readonly Cell[]): string => `${cells.map(csvField).join(",")}\r\n`;

function csvField(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell !== "string") return String(cell);
  const inert = FORMULA.test(cell) ? `'${cell}` : cell;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
