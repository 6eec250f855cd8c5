import { daemonWords, may, must, type ServiceKind } from "./plan.ts";
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
/** Started again after 5 s, after a second fault too, then once a minute; a day without one forgets them. */
const RECOVERY = ["reset=", "86400", "actions=", "restart/5000/restart/5000/restart/60000"];

/**
 * A service that runs as SYSTEM from boot on (learn.microsoft.com, `sc.exe create`). `create` fails where it is
 * already there and `config` where it is not; what matters is that it starts.
 */
export const windowsService: ServiceKind = {
  name: "Windows service",
  executable: WINDOWS_EXECUTABLE,
  install: (options) => {
    const line = ["binPath=", commandLine([options.executable, ...daemonWords(options)]), "start=", "auto"];
    return {
      directories: [PROGRAM_DIRECTORY],
      files: [],
      commands: [
        ...protectDirectory(options.stateDirectory),
        ...REMOVE_TASK,
        may("net", "stop", SERVICE_NAME, "/y"),
        may("sc", "create", SERVICE_NAME, ...line, "DisplayName=", TITLE),
        may("sc", "config", SERVICE_NAME, ...line, "DisplayName=", TITLE),
        may("sc", "description", SERVICE_NAME, "Finds AI engines of this host and reports them"),
        may("sc", "failure", SERVICE_NAME, ...RECOVERY),
        // Also when it says itself that it stopped because of a fault.
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
