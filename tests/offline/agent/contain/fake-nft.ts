import type { CommandResult, RunCommand } from "../../../../agent/platform/run-command.ts";

const OK: CommandResult = { code: 0, stdout: "", stderr: "" };

/**
 * A fake nft(8) with the commands that the agent uses. The fake replaces tables in one transaction, repeats
 * commands with `--echo`, and lists tables. `edit` changes the active rules, as another program with root
 * rights could.
 */
export function fakeNft() {
  /** Current rule lines of each nft table. */
  const tables = new Map<string, string[]>();
  /** Every input to `nft -f -`, in order. */
  const inputs: string[] = [];
  const asked: string[] = [];
  let packets = 0;

  function load(text: string): CommandResult {
    const next = new Map([...tables].map(([name, lines]) => [name, [...lines]]));
    const echoed: string[] = [];
    let table: string | undefined;
    let chain: string | undefined;
    for (const line of text.split("\n").map((each) => each.trim())) {
      const [word, ...rest] = line.split(" ");
      if (word === "table" && !line.endsWith("{")) next.set(rest.join(" "), next.get(rest.join(" ")) ?? []);
      else if (word === "delete") {
        if (!next.delete(rest.slice(1).join(" ")))
          return { code: 1, stdout: "", stderr: "Error: No such file" };
      } else if (word === "table") {
        table = rest.slice(0, 2).join(" ");
        next.set(table, []);
        echoed.push(`add table ${table}`);
      } else if (word === "counter" && chain === undefined) {
        next.get(table!)!.push(`counter ${rest[0]} {`, "}");
        echoed.push(`add counter ${table} ${rest[0]} { }`);
      } else if (word === "chain") {
        chain = rest[0]!;
        next.get(table!)!.push(line);
        echoed.push(`add chain ${table} ${chain}`);
      } else if (word === "type" && chain !== undefined) {
        next.get(table!)!.push(line);
        echoed[echoed.length - 1] += ` { ${line} }`;
      } else if (line === "}") {
        if (chain !== undefined) next.get(table!)!.push("}");
        chain = undefined;
      } else if (line !== "") {
        next.get(table!)!.push(line);
        echoed.push(`add rule ${table} ${chain} handle 7 ${line}`);
      }
    }
    tables.clear();
    for (const [name, lines] of next) tables.set(name, lines);
    return { ...OK, stdout: echoed.join("\n") };
  }

  const run: RunCommand = async (command, stdin) => {
    const words = command.slice(1).filter((word) => !word.startsWith("-"));
    asked.push(command.join(" "));
    if (stdin !== undefined) {
      inputs.push(stdin);
      const { stdout, ...result } = load(stdin);
      return { ...result, stdout: command.includes("--echo") ? stdout : "" };
    }
    if (words[1] === "counter")
      return { ...OK, stdout: JSON.stringify({ nftables: [{ counter: { packets } }] }) };
    const lines = tables.get(words.slice(2).join(" "));
    if (!lines) return { code: 1, stdout: "", stderr: "Error: No such file or directory" };
    return { ...OK, stdout: `table ${words.slice(2).join(" ")} {\n${lines.join("\n")}\n}\n` };
  };

  return {
    run,
    inputs,
    asked,
    tables,
    /** Increases the counter of refused packets by one. */
    count: () => {
      packets++;
    },
    /** Changes the rule lines of a table, as an attacker would. */
    edit: (table: string, change: (lines: string[]) => void) => change(tables.get(table)!),
    /** Returns the current rules of a chain. */
    rulesOf: (table: string, chain: string): string[] => {
      const lines = tables.get(table) ?? [];
      const start = lines.indexOf(`chain ${chain} {`);
      return start < 0
        ? []
        : lines.slice(start + 1, lines.indexOf("}", start)).filter((l) => !l.startsWith("type"));
    },
  };
}
