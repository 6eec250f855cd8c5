/** What a cell may hold; lists are joined by the caller, who knows what separates them. */
export type Cell = string | number | boolean | undefined;

/** Spreadsheets take a text that begins like this for a formula (OWASP, "CSV Injection"). */
const FORMULA = /^[=+\-@\t\r\n]/;
/** Where the decimal point is a comma they cut a line at semicolons, whatever is quoted: a cell begins after each. */
const INNER_FORMULA = /;(?=\s*"?\s*[=+\-@])/g;

/**
 * One record of RFC 4180: quoted where it has to be, ended by CRLF. A text a spreadsheet would take for a formula
 * is given a leading apostrophe, for what agents report is not ours and is opened on an analyst's machine.
 */
export const csvRecord = (cells: readonly Cell[]): string => `${cells.map(csvField).join(",")}\r\n`;

function csvField(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell !== "string") return String(cell);
  const inert = (FORMULA.test(cell) ? `'${cell}` : cell).replace(INNER_FORMULA, "$&'");
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
