import { may, must, type ServiceKind, type ServiceOptions } from "./plan.ts";
import { escapeXml } from "./xml.ts";

const TASK = "\\LifecycleZero\\Agent";
const DIRECTORY = "C:\\Program Files\\LifecycleZero";
const XML = `${DIRECTORY}\\agent-task.xml`;
/** Well-known SIDs, which have the same name in every language of Windows. */
const SYSTEM = "S-1-5-18";
const ADMINISTRATORS = "S-1-5-32-544";

/**
 * A task that SYSTEM starts at boot and restarts when it ends (learn.microsoft.com, Task Scheduler Schema).
 * Not a service of `sc.exe create`: the service control manager ends a program that does not call
 * StartServiceCtrlDispatcher with error 1053, and a console program, as this binary is, does not.
 */
export function windowsTask({ executable, stateDirectory }: ServiceOptions): string {
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
      <Command>${escapeXml(`"${executable}"`)}</Command>
      <Arguments>${escapeXml(`run --state "${stateDirectory}"`)}</Arguments>
    </Exec>
  </Actions>
</Task>
`;
}

export const windows: ServiceKind = {
  executable: `${DIRECTORY}\\lz-agent.exe`,
  install: (options) => ({
    directories: [DIRECTORY],
    files: [{ path: XML, content: `\ufeff${windowsTask(options)}`, mode: 0o600, encoding: "utf16le" }],
    commands: [
      // The keys are for SYSTEM and administrators only; what the directory inherits is taken away.
      must(
        "icacls",
        options.stateDirectory,
        "/inheritance:r",
        "/grant:r",
        `*${SYSTEM}:(OI)(CI)F`,
        `*${ADMINISTRATORS}:(OI)(CI)F`,
      ),
      may("schtasks", "/End", "/TN", TASK),
      must("schtasks", "/Create", "/TN", TASK, "/XML", XML, "/F"),
      must("schtasks", "/Run", "/TN", TASK),
    ],
    removals: [],
  }),
  uninstall: () => ({
    directories: [],
    files: [],
    commands: [may("schtasks", "/End", "/TN", TASK), may("schtasks", "/Delete", "/TN", TASK, "/F")],
    removals: [XML],
  }),
};
