/** Formats a Markdown table with columns as wide as their longest cell, as the formatter does. */
export function markdownTable(rows: readonly [string[], ...string[][]]): string {
  const widths = rows[0].map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`;
  const [head, ...body] = rows;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n");
}
