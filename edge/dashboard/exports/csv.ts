/** What a cell may hold; lists are joined by the caller, who knows what separates them. */
export type Cell = string | number | boolean | undefined;

/** White space, controls and characters that are not drawn: spreadsheets skip them before they look for a formula. */
const BLANK = "[\\s\\p{Z}\\p{C}\\p{Default_Ignorable_Code_Point}\\u2800]";
/** `= + - @`, with their full-width, small and mathematical forms, which some input methods and importers fold. */
const OPERATOR = "[=+\\-@＝＋－＠﹦﹢﹣﹫−]";
/** Spreadsheets evaluate such a text (OWASP, "CSV Injection"), or drop its first character and evaluate the rest. */
const FORMULA = new RegExp(`^(?:[\\t\\r\\n]|${BLANK}*${OPERATOR})`, "u");
/**
 * In regions with a decimal comma, spreadsheets split a line at semicolons and ignore the quotes of our cells. So a
 * cell may begin after each semicolon, tab and line break.
 */
const INNER_FORMULA = new RegExp(`[;\\t\\r\\n](?=${BLANK}*"?${BLANK}*${OPERATOR})`, "gu");

/**
 * One record of RFC 4180: quoted where it has to be, ended by CRLF. A text that a spreadsheet would evaluate gets a
 * leading apostrophe: agents report these texts, and analysts open them.
 */
export const csvRecord = (cells: readonly Cell[]): string => `${cells.map(csvField).join(",")}\r\n`;

function csvField(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell !== "string") return String(cell);
  const inert = (FORMULA.test(cell) ? `'${cell}` : cell).replace(INNER_FORMULA, "$&'");
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
