import { daemonArguments, may, must, type ServiceKind } from "./plan.ts";
import {
  commandLine,
  PROGRAM_DIRECTORY,
  protectDirectory,
  REMOVE_SERVICE,
  REMOVE_TASK,
  SERVICE_NAME,
  WINDOWS_EXECUTABLE,
} from "./windows-directory.ts";

const TITLE = "LifecycleZero endpoint agent";
/**
 * Recovery actions: restart after 5 s for the first two failures, then after a minute. A day without failures
 * resets the count.
 */
const RECOVERY = ["reset=", "86400", "actions=", "restart/5000/restart/5000/restart/60000"];

/**
 * A service that runs as SYSTEM and starts at boot (learn.microsoft.com, `sc.exe create`). `create` fails if
 * the service exists, and `config` fails if it does not exist. So only the `start` step has to succeed.
 */
export const windowsService: ServiceKind = {
  name: "Windows service",
  executable: WINDOWS_EXECUTABLE,
  install: (options) => {
    const line = [
      "binPath=",
      commandLine([options.executable, ...daemonArguments(options)]),
      "start=",
      "auto",
    ];
    return {
      directories: [PROGRAM_DIRECTORY],
      files: [],
      commands: [
        ...protectDirectory(options.stateDirectory),
        ...REMOVE_TASK,
        may("net", "stop", SERVICE_NAME, "/y"),
        may("sc", "create", SERVICE_NAME, ...line, "DisplayName=", TITLE),
        may("sc", "config", SERVICE_NAME, ...line, "DisplayName=", TITLE),
        may("sc", "description", SERVICE_NAME, "Finds AI engines on this host and reports them"),
        may("sc", "failure", SERVICE_NAME, ...RECOVERY),
        // Apply the recovery actions also if the service stops with an error code (failureflag 1).
        may("sc", "failureflag", SERVICE_NAME, "1"),
        must("sc", "start", SERVICE_NAME),
      ],
      removals: [],
    };
  },
  uninstall: () => ({
    directories: [],
    files: [],
    commands: [...REMOVE_SERVICE, ...REMOVE_TASK],
    removals: [],
  }),
};
