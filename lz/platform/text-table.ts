import { tidy } from "../../shared/wire/text.ts";

const CELL_CHARACTERS_MAX = 80;

/**
 * Formats a table with columns as wide as their content. Cells come from agents and people, so control
 * characters are removed.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const shown = [head, ...rows].map((row) =>
    row.map((cell) => (cell === "" ? "-" : tidy(cell, CELL_CHARACTERS_MAX))),
  );
  const widths = head.map((_, column) => Math.max(...shown.map((row) => (row[column] ?? "").length)));
  return shown.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
}

export const count = (number: number, one: string, many = `${one}s`): string =>
  `${number.toLocaleString("en-US")} ${number === 1 ? one : many}`;
