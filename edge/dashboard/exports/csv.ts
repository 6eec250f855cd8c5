/** Value of a cell. The caller must first join the elements of a list into one text. */
export type Cell = string | number | boolean | undefined;

/**
 * White space, control characters and invisible characters. Spreadsheets skip them before they check for a
 * formula.
 */
const BLANK = "[\\s\\p{Z}\\p{C}\\p{Default_Ignorable_Code_Point}\\u2800]";
/** `= + - @` and their full-width, small and mathematical forms, which some importers convert to ASCII. */
const OPERATOR = "[=+\\-@＝＋－＠﹦﹢﹣﹫−]";
/**
 * Matches texts that spreadsheets evaluate (OWASP, "CSV Injection"). Some spreadsheets drop the first
 * character before they evaluate the text.
 */
const FORMULA = new RegExp(`^(?:[\\t\\r\\n]|${BLANK}*${OPERATOR})`, "u");
/**
 * In regions with a decimal comma, spreadsheets split lines at semicolons and ignore the quotes in the file.
 * A cell may therefore start after each semicolon, tab and line break.
 */
const INNER_FORMULA = new RegExp(`[;\\t\\r\\n](?=${BLANK}*"?${BLANK}*${OPERATOR})`, "gu");

/**
 * Formats one record as in RFC 4180: quoted where necessary, and ended by CRLF. Texts that a spreadsheet
 * would evaluate get a leading apostrophe, because hosts can report any text and analysts open the file.
 */
export const csvRecord = (cells: readonly Cell[]): string => `${cells.map(csvField).join(",")}\r\n`;

function csvField(cell: Cell): string {
  if (cell === undefined) return "";
  if (typeof cell !== "string") return String(cell);
  const inert = (FORMULA.test(cell) ? `'${cell}` : cell).replace(INNER_FORMULA, "$&'");
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
