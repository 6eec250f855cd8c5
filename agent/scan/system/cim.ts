/*
 * Reads Windows processes with PowerShell. CIM classes and properties have the same names in every display
 * language. Names of performance counters are translated, so GPU memory is read from its CIM class.
 * `ConvertTo-Json` of Windows PowerShell 5.1 writes a list of one element as that element alone.
 */

export type CimProcess = {
  pid: number;
  parentPid: number;
  name: string;
  executable?: string;
  commandLine?: string;
  startedAtMs?: number;
  /** `DOMAIN\account`. Absent if the agent has no administrator rights. */
  user?: string;
};

/**
 * PowerShell script that prints the value of an expression as ASCII JSON. PowerShell 5.1 writes to a pipe in
 * the console's code page, which would corrupt paths that contain other characters.
 */
export const asciiJson = (expression: string): string =>
  `[regex]::Replace((${expression} | ConvertTo-Json -Compress -Depth 5), '[^\\x00-\\x7f]', ` +
  "{ param($m) '\\u{0:x4}' -f [int][char]$m.Value })";

/**
 * PowerShell script that prints three kinds of data. These are all processes
 * (https://learn.microsoft.com/windows/win32/cimwin32prov/win32-process), their accounts from Get-Process
 * (needs administrator rights), and the counter set "GPU Process Memory" (Windows 10 1709 and later; absent
 * without a GPU).
 */
export const PROCESSES_SCRIPT =
  "$u=@{}; try { Get-Process -IncludeUserName -ErrorAction Stop | " +
  "ForEach-Object { $u[[int]$_.Id]=$_.UserName } } catch {}; " +
  "$p=@(Get-CimInstance Win32_Process | ForEach-Object { [pscustomobject]@{ " +
  "p=$_.ProcessId; q=$_.ParentProcessId; n=$_.Name; e=$_.ExecutablePath; c=$_.CommandLine; " +
  "s=if ($_.CreationDate) { $_.CreationDate.ToUniversalTime().ToString('o') }; u=$u[[int]$_.ProcessId] } }); " +
  "$g=$null; try { $g=@(Get-CimInstance " +
  "Win32_PerfFormattedData_GPUPerformanceCounters_GPUProcessMemory -ErrorAction Stop | " +
  "ForEach-Object { [pscustomobject]@{ n=$_.Name; d=$_.DedicatedUsage } }) } catch {}; " +
  asciiJson("[pscustomobject]@{ p=$p; g=$g }");

/**
 * PowerShell script that prints the module paths of these processes. Omits processes whose modules are not
 * readable.
 */
export const modulesScript = (pids: readonly number[]): string =>
  `$r=@(Get-Process -Id ${pids.join(",")} -ErrorAction SilentlyContinue | ForEach-Object { [pscustomobject]@{ ` +
  `p=$_.Id; m=@($_.Modules | ForEach-Object { $_.FileName }) } }); ${asciiJson("[pscustomobject]@{ p=$r }")}`;

export type CimReport = {
  processes: CimProcess[];
  /** Dedicated GPU memory in bytes by pid. Absent if Windows does not count GPU memory. */
  gpuBytes?: Map<number, number>;
};

/** Parses the output of {@link PROCESSES_SCRIPT}. Throws if the text is not JSON. */
export function parseReport(text: string): CimReport {
  const report = JSON.parse(text) as { p?: unknown; g?: unknown };
  return {
    processes: rowsOf(report.p).flatMap((row) => toProcess(row) ?? []),
    ...(report.g !== null && report.g !== undefined && { gpuBytes: gpuBytesOf(rowsOf(report.g)) }),
  };
}

function toProcess(row: Record<string, unknown>): CimProcess | undefined {
  if (typeof row.p !== "number" || row.p === 0) return undefined;
  const startedAtMs = typeof row.s === "string" ? Date.parse(row.s) : Number.NaN;
  return {
    pid: row.p,
    parentPid: typeof row.q === "number" ? row.q : 0,
    name: typeof row.n === "string" ? row.n : "",
    ...(typeof row.e === "string" && row.e !== "" && { executable: row.e }),
    ...(typeof row.c === "string" && { commandLine: row.c }),
    ...(Number.isFinite(startedAtMs) && { startedAtMs }),
    ...(typeof row.u === "string" && row.u !== "" && { user: row.u }),
  };
}

/**
 * Adds up the counter instances of each process. There is one instance per card, with a name such as
 * `pid_9524_luid_0x00000000_0x000095CA_phys_0`.
 */
function gpuBytesOf(rows: readonly Record<string, unknown>[]): Map<number, number> {
  const bytes = new Map<number, number>();
  for (const { n, d } of rows) {
    const pid = Number(/^pid_(\d+)_/.exec(String(n))?.[1]);
    const size = Number(d);
    if (pid > 0 && Number.isSafeInteger(size)) bytes.set(pid, (bytes.get(pid) ?? 0) + size);
  }
  return bytes;
}

/** Parses the output of {@link modulesScript}. Returns module paths by pid. */
export function parseModules(text: string): Map<number, string[]> {
  const modules = new Map<number, string[]>();
  for (const row of rowsOf((JSON.parse(text) as { p?: unknown }).p)) {
    if (typeof row.p !== "number") continue;
    const paths = listOf(row.m);
    modules.set(
      row.p,
      paths.filter((path) => typeof path === "string"),
    );
  }
  return modules;
}

function rowsOf(value: unknown): Record<string, unknown>[] {
  const rows = listOf(value);
  return rows.filter((row): row is Record<string, unknown> => typeof row === "object" && row !== null);
}

/** PowerShell 5.1 writes some lists as `{"value":[…],"Count":2}`, and a list of one element as that element alone. */
function listOf(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  const inner = typeof value === "object" && value !== null && "value" in value ? value.value : undefined;
  return Array.isArray(inner) ? inner : [value];
}

/**
 * Splits a Windows command line. Quotation marks group words, and a backslash escapes only a quotation mark
 * (CommandLineToArgvW).
 */
export function splitCommandLine(line: string): string[] {
  const words: string[] = [];
  for (const match of line.matchAll(/(?:[^\s"]|"(?:\\"|[^"])*"?)+/g)) {
    words.push(match[0].replace(/(?<!\\)"/g, "").replaceAll('\\"', '"'));
  }
  return words;
}
