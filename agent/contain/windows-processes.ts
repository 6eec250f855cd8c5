import { z } from "zod";
import type { RunCommand } from "../command.ts";
import type { HostProcess } from "./stop-engines.ts";
import { POWERSHELL } from "./windows-firewall.ts";

const row = z.object({ p: z.int(), q: z.int(), b: z.string().nullable(), s: z.boolean() });

/**
 * All processes, their start in ticks, and whether every thread is suspended (Win32 ThreadState 5 is waiting, and
 * WaitReason 5 suspended; names of enumerations are not translated). One process is a list too.
 */
export const PROCESSES_SCRIPT = `$ErrorActionPreference='Stop'
$t=@{}
Get-Process | ForEach-Object { try { $t[[int]$_.Id]=@($_.Threads | Where-Object { -not ($_.ThreadState -eq 'Wait' -and $_.WaitReason -eq 'Suspended') }).Count -eq 0 } catch {} }
ConvertTo-Json -Compress @(Get-CimInstance Win32_Process -Property ProcessId,ParentProcessId,CreationDate | ForEach-Object {
[pscustomobject]@{ p=[int]$_.ProcessId; q=[int]$_.ParentProcessId; b=if ($_.CreationDate) { [string]$_.CreationDate.ToUniversalTime().Ticks }; s=[bool]$t[[int]$_.ProcessId] } })
`;

export function parseProcesses(text: string): HostProcess[] {
  const value: unknown = JSON.parse(text);
  return z
    .array(row)
    .parse(Array.isArray(value) ? value : [value])
    .filter(({ p, b }) => p > 4 && b !== null)
    .map(({ p, q, b, s }) => ({ pid: p, parent: q, birth: b!, isStopped: s }));
}

/** Rejects when they cannot be listed. */
export async function windowsProcesses(run: RunCommand): Promise<HostProcess[]> {
  const { code, stdout } = await run(POWERSHELL, PROCESSES_SCRIPT);
  if (code !== 0) throw new Error("the processes could not be listed");
  return parseProcesses(stdout);
}

/** PROCESS_SUSPEND_RESUME (learn.microsoft.com, "Process Security and Access Rights"). */
const SUSPEND_RESUME = 0x0800;

export type Suspension = { suspend: (pid: number) => void; wake: (pid: number) => void };

/**
 * NtSuspendProcess and NtResumeProcess of ntdll, which count: a process suspended twice has to be woken twice. So
 * neither is asked of one that is so already. Both throw when the process is gone or protected.
 */
export async function openSuspension(): Promise<Suspension> {
  const { dlopen, FFIType } = await import("bun:ffi");
  const { symbols: kernel } = dlopen("kernel32.dll", {
    OpenProcess: { args: [FFIType.u32, FFIType.i32, FFIType.u32], returns: FFIType.ptr },
    CloseHandle: { args: [FFIType.ptr], returns: FFIType.i32 },
  });
  const { symbols: nt } = dlopen("ntdll.dll", {
    NtSuspendProcess: { args: [FFIType.ptr], returns: FFIType.i32 },
    NtResumeProcess: { args: [FFIType.ptr], returns: FFIType.i32 },
  });
  const asked = (name: keyof typeof nt) => (pid: number) => {
    const handle = kernel.OpenProcess(SUSPEND_RESUME, 0, pid);
    if (!handle) throw new Error(`process ${pid} could not be opened`);
    const status = nt[name](handle);
    kernel.CloseHandle(handle);
    if (status !== 0) throw new Error(`${name} of ${pid} answered ${status}`);
  };
  return { suspend: asked("NtSuspendProcess"), wake: asked("NtResumeProcess") };
}
