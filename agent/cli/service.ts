import { chmodSync, copyFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { launchd } from "../autostart/launchd.ts";
import type { Plan, ServiceKind } from "../autostart/plan.ts";
import { systemd } from "../autostart/systemd.ts";
import { windows } from "../autostart/windows.ts";
import { type RunCommand, runCommand } from "../command.ts";
import { stateDirectory } from "../config.ts";
import { codeOf, removeIfThere } from "../disk.ts";
import { loadIdentity } from "../identity.ts";
import { type ExitCode, fail, type Machine, option, type Verb } from "./machine.ts";

const KINDS: Partial<Record<NodeJS.Platform, ServiceKind>> = {
  linux: systemd,
  darwin: launchd,
  win32: windows,
};

/** Installs or removes the service of this system. Keys, identity and spool are left alone either way. */
export const service: Verb = async (machine, values, word) => {
  const kind = KINDS[machine.platform];
  if (!kind) return fail(machine, `there is no service for ${machine.platform}`);
  const directory = stateDirectory(machine, option(values, "state"));
  const isInstall = word === "install";
  const plan = isInstall
    ? kind.install({ executable: kind.executable, stateDirectory: directory })
    : kind.uninstall();
  if (values.print === true) {
    for (const line of describe(plan, isInstall ? kind.executable : undefined)) machine.print(line);
    return 0;
  }
  if (machine.platform !== "win32" && !machine.isRoot) return fail(machine, "service: only root may do this");
  if (!isInstall) return carryOut(machine, plan, runCommand);
  if (!loadIdentity(directory)) {
    return fail(
      machine,
      `this host is not enrolled (no identity in ${directory}): run lz-agent enroll first`,
    );
  }
  if (/^bun(x|\.exe)?$/.test(basename(machine.execPath))) {
    return fail(machine, "service: install from the compiled lz-agent, not from source");
  }
  putBinary(machine.execPath, kind.executable);
  return carryOut(machine, plan, runCommand);
};

/** A daemon that runs at the moment keeps the file it was started from: the new one takes only its name. */
function putBinary(from: string, to: string): void {
  if (from === to) return;
  mkdirSync(dirname(to), { recursive: true });
  const fresh = `${to}.new`;
  copyFileSync(from, fresh);
  chmodSync(fresh, 0o755);
  renameSync(fresh, to);
}

export async function carryOut(
  machine: Pick<Machine, "print" | "complain">,
  plan: Plan,
  run: RunCommand,
): Promise<ExitCode> {
  const failed = (line: string): ExitCode => {
    machine.complain(`lz-agent: service: ${line}`);
    return 1;
  };
  try {
    for (const directory of plan.directories) mkdirSync(directory, { recursive: true });
    for (const { path, content, mode, encoding } of plan.files) {
      writeFileSync(path, content, { encoding, mode });
      chmodSync(path, mode);
      machine.print(`wrote ${path}`);
    }
  } catch (cause) {
    return failed(`cannot write (${codeOf(cause)})`);
  }
  for (const { command, mayFail } of plan.commands) {
    const { code, stdout, stderr } = await run(command);
    if (code === 0) machine.print(`ran ${command.join(" ")}`);
    else if (!mayFail)
      return failed(`${command.join(" ")} failed: ${firstLine(stderr || stdout) || `code ${code}`}`);
  }
  for (const path of plan.removals) if (removeIfThere(path)) machine.print(`removed ${path}`);
  return 0;
}

const firstLine = (text: string): string => text.trim().split("\n")[0] ?? "";

function describe(plan: Plan, executable: string | undefined): string[] {
  return [
    ...(executable ? [`# copy this binary to ${executable}`] : []),
    ...plan.files.flatMap(({ path, content }) => [`# write ${path}`, content.replace("\ufeff", "")]),
    ...plan.commands.map(({ command }) => `# run ${command.join(" ")}`),
    ...plan.removals.map((path) => `# remove ${path}`),
  ];
}
