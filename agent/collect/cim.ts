/*
 * Processes of Windows, from PowerShell. `ConvertTo-Json` of Windows PowerShell 5.1 writes an object instead of a
 * list when there is only one.
 */

export type CimProcess = {
  pid: number;
  parentPid: number;
  name: string;
  executable?: string;
  commandLine?: string;
  startedAtMs?: number;
};

/** https://learn.microsoft.com/windows/win32/cimwin32prov/win32-process */
export const PROCESSES_SCRIPT =
  "Get-CimInstance Win32_Process | ForEach-Object { [pscustomobject]@{ " +
  "p=$_.ProcessId; q=$_.ParentProcessId; n=$_.Name; e=$_.ExecutablePath; c=$_.CommandLine; " +
  "s=if ($_.CreationDate) { $_.CreationDate.ToUniversalTime().ToString('o') } } } | ConvertTo-Json -Compress";

/** Paths of the modules of some processes; of those whose modules may not be read, nothing. */
export const modulesScript = (pids: readonly number[]): string =>
  `Get-Process -Id ${pids.join(",")} -ErrorAction SilentlyContinue | ForEach-Object { [pscustomobject]@{ ` +
  "p=$_.Id; m=@($_.Modules | ForEach-Object { $_.FileName }) } } | ConvertTo-Json -Compress -Depth 3";

export function parseProcesses(text: string): CimProcess[] {
  return rowsOf(text).flatMap((row) => {
    if (typeof row.p !== "number" || row.p === 0) return [];
    const startedAtMs = typeof row.s === "string" ? Date.parse(row.s) : Number.NaN;
    return [
      {
        pid: row.p,
        parentPid: typeof row.q === "number" ? row.q : 0,
        name: typeof row.n === "string" ? row.n : "",
        ...(typeof row.e === "string" && row.e !== "" && { executable: row.e }),
        ...(typeof row.c === "string" && { commandLine: row.c }),
        ...(Number.isFinite(startedAtMs) && { startedAtMs }),
      },
    ];
  });
}

export function parseModules(text: string): Map<number, string[]> {
  const modules = new Map<number, string[]>();
  for (const row of rowsOf(text)) {
    if (typeof row.p !== "number") continue;
    const paths = Array.isArray(row.m) ? row.m : [row.m];
    modules.set(
      row.p,
      paths.filter((path) => typeof path === "string"),
    );
  }
  return modules;
}

function rowsOf(text: string): Record<string, unknown>[] {
  if (text.trim() === "") return [];
  const parsed = JSON.parse(text) as unknown;
  const rows = Array.isArray(parsed) ? parsed : [parsed];
  return rows.filter((row) => typeof row === "object" && row !== null);
}

/** Words of a Windows command line: quotes group, a backslash escapes only a quote (CommandLineToArgvW). */
export function splitCommandLine(line: string): string[] {
  const words: string[] = [];
  for (const match of line.matchAll(/(?:[^\s"]|"(?:\\"|[^"])*"?)+/g)) {
    words.push(match[0].replace(/(?<!\\)"/g, "").replaceAll('\\"', '"'));
  }
  return words;
}
