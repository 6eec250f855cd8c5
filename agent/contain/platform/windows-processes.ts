import { z } from "zod";
import type { RunCommand } from "../../platform/run-command.ts";
import type { HostProcess, Named } from "../engines/process-tree.ts";
import { POWERSHELL } from "./windows-firewall.ts";

const row = z.object({ p: z.int(), q: z.int(), b: z.string().nullable(), s: z.boolean() });

/**
 * Lists all processes as JSON, with pid `p`, parent `q`, start in ticks `b`, and `s`, which is true if all
 * threads are suspended. Win32 thread state 5 is `Wait`, and wait reason 5 is `Suspended`. These numbers do
 * not depend on the language of Windows.
 */
export const PROCESSES_SCRIPT = `$ErrorActionPreference='Stop'
$t=@{}
Get-Process | ForEach-Object { try { $t[[int]$_.Id]=@($_.Threads | Where-Object { -not ($_.ThreadState -eq 'Wait' -and $_.WaitReason -eq 'Suspended') }).Count -eq 0 } catch {} }
ConvertTo-Json -Compress @(Get-CimInstance Win32_Process -Property ProcessId,ParentProcessId,CreationDate | ForEach-Object {
[pscustomobject]@{ p=[int]$_.ProcessId; q=[int]$_.ParentProcessId; b=if ($_.CreationDate) { [string]$_.CreationDate.ToUniversalTime().Ticks }; s=[bool]$t[[int]$_.ProcessId] } })
`;

/** The years 1970 (epoch) and 1601 (FILETIME) in ticks of 100 ns since the year 1 (.NET DateTime.Ticks). */
const EPOCH_TICKS = 621_355_968_000_000_000n;
const FILETIME_TICKS = 504_911_232_000_000_000n;
const TICKS_PER_MS = 10_000n;

/**
 * Parses the list of processes. Windows keeps a process's parent pid after the parent has ended. If the
 * process with that pid started after the child, it is not the parent.
 */
export function parseProcesses(text: string): HostProcess[] {
  const value: unknown = JSON.parse(text);
  const rows = z
    .array(row)
    .parse(Array.isArray(value) ? value : [value])
    .flatMap(({ p, q, b, s }) => (p > 4 && b !== null && /^\d{1,19}$/.test(b) ? [{ p, q, b, s }] : []));
  const births = new Map(rows.map(({ p, b }) => [p, BigInt(b)]));
  return rows.map(({ p, q, b, s }) => ({
    pid: p,
    parent: (births.get(q) ?? 0n) > BigInt(b) ? 0 : q,
    birth: b,
    isStopped: s,
    startedAtMs: Number((BigInt(b) - EPOCH_TICKS) / TICKS_PER_MS),
  }));
}

/** All processes of this host. Rejects if they cannot be listed. */
export async function windowsProcesses(run: RunCommand): Promise<HostProcess[]> {
  const { code, stdout } = await run(POWERSHELL, PROCESSES_SCRIPT);
  if (code !== 0) throw new Error("the processes could not be listed");
  return parseProcesses(stdout);
}

/**
 * Access rights (learn.microsoft.com): PROCESS_SUSPEND_RESUME, and PROCESS_TERMINATE with
 * PROCESS_QUERY_LIMITED_INFORMATION.
 */
const SUSPEND_RESUME = 0x0800;
const TERMINATE_QUERY = 0x0001 | 0x1000;
/** Exit code of a process that the agent terminated (`GetExitCodeProcess`). */
const EXIT_CODE = 1;

export type Suspension = {
  suspend: (process: Named) => void;
  wake: (process: Named) => void;
  end: (process: Named) => void;
};

/**
 * Suspends, resumes and terminates processes. NtSuspendProcess and NtResumeProcess count their calls: a
 * process that was suspended twice must be resumed twice. So callers suspend only running processes.
 * TerminateProcess needs a handle, which refers to one process even if its pid is reused. So the start time
 * is compared after the handle is opened. All functions throw if the process has ended or is protected.
 */
export async function openSuspension(): Promise<Suspension> {
  const { dlopen, FFIType } = await import("bun:ffi");
  const { symbols: kernel } = dlopen("kernel32.dll", {
    OpenProcess: { args: [FFIType.u32, FFIType.i32, FFIType.u32], returns: FFIType.ptr },
    CloseHandle: { args: [FFIType.ptr], returns: FFIType.i32 },
    GetProcessTimes: {
      args: [FFIType.ptr, FFIType.ptr, FFIType.ptr, FFIType.ptr, FFIType.ptr],
      returns: FFIType.i32,
    },
    TerminateProcess: { args: [FFIType.ptr, FFIType.u32], returns: FFIType.i32 },
  });
  const { symbols: nt } = dlopen("ntdll.dll", {
    NtSuspendProcess: { args: [FFIType.ptr], returns: FFIType.i32 },
    NtResumeProcess: { args: [FFIType.ptr], returns: FFIType.i32 },
  });
  const asked =
    (name: keyof typeof nt) =>
    ({ pid }: Named) => {
      const handle = kernel.OpenProcess(SUSPEND_RESUME, 0, pid);
      if (!handle) throw new Error(`process ${pid} could not be opened`);
      const status = nt[name](handle);
      kernel.CloseHandle(handle);
      if (status !== 0) throw new Error(`${name} of process ${pid} failed with status ${status}`);
    };
  function end({ pid, birth }: Named): void {
    const handle = kernel.OpenProcess(TERMINATE_QUERY, 0, pid);
    if (!handle) throw new Error(`process ${pid} could not be opened`);
    const [created, exited, inKernel, inUser] = Array.from({ length: 4 }, () => new BigUint64Array(1));
    const isKnown = kernel.GetProcessTimes(handle, created!, exited!, inKernel!, inUser!) !== 0;
    const isEnded =
      isKnown && isBornAt(created![0]!, birth) && kernel.TerminateProcess(handle, EXIT_CODE) !== 0;
    kernel.CloseHandle(handle);
    if (!isEnded) throw new Error(`process ${pid} has ended or is protected`);
  }
  return { suspend: asked("NtSuspendProcess"), wake: asked("NtResumeProcess"), end };
}

/** Compares a FILETIME with ticks, which CIM rounds to microseconds. */
export function isBornAt(filetime: bigint, birth: string): boolean {
  const apart = filetime + FILETIME_TICKS - BigInt(birth);
  return apart > -TICKS_PER_MS && apart < TICKS_PER_MS;
}
