import { daemonArguments, may, must, type ServiceKind, type ServiceOptions } from "./plan.ts";
import {
  commandLine,
  PROGRAM_DIRECTORY,
  protectDirectory,
  REMOVE_SERVICE,
  REMOVE_TASK,
  SYSTEM,
  TASK,
  WINDOWS_EXECUTABLE,
} from "./windows-directory.ts";
import { escapeXml } from "./xml.ts";

const XML = `${PROGRAM_DIRECTORY}\\agent-task.xml`;

/**
 * A task that SYSTEM starts at boot, and that is restarted when it ends (learn.microsoft.com, Task Scheduler
 * Schema). It replaces the service on a machine where the service does not start.
 */
export function windowsTask(options: ServiceOptions): string {
  return `<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>LifecycleZero endpoint agent</Description>
  </RegistrationInfo>
  <Triggers>
    <BootTrigger>
      <Enabled>true</Enabled>
    </BootTrigger>
  </Triggers>
  <Principals>
    <Principal id="System">
      <UserId>${SYSTEM}</UserId>
      <RunLevel>HighestAvailable</RunLevel>
    </Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <AllowHardTerminate>true</AllowHardTerminate>
    <StartWhenAvailable>true</StartWhenAvailable>
    <RestartOnFailure>
      <Interval>PT1M</Interval>
      <Count>999</Count>
    </RestartOnFailure>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>7</Priority>
    <Hidden>true</Hidden>
    <Enabled>true</Enabled>
  </Settings>
  <Actions Context="System">
    <Exec>
      <Command>${escapeXml(`"${options.executable}"`)}</Command>
      <Arguments>${escapeXml(commandLine(daemonArguments(options)))}</Arguments>
    </Exec>
  </Actions>
</Task>
`;
}

export const windowsTaskKind: ServiceKind = {
  name: "scheduled task",
  executable: WINDOWS_EXECUTABLE,
  install: (options) => ({
    directories: [PROGRAM_DIRECTORY],
    files: [{ path: XML, content: `\ufeff${windowsTask(options)}`, mode: 0o600, encoding: "utf16le" }],
    commands: [
      ...protectDirectory(options.stateDirectory),
      ...REMOVE_SERVICE,
      may("schtasks", "/End", "/TN", TASK),
      must("schtasks", "/Create", "/TN", TASK, "/XML", XML, "/F"),
      must("schtasks", "/Run", "/TN", TASK),
    ],
    removals: [],
  }),
  uninstall: () => ({
    directories: [],
    files: [],
    commands: [...REMOVE_SERVICE, ...REMOVE_TASK],
    removals: [XML],
  }),
};
