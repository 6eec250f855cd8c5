import { may, must, type Step } from "./plan.ts";

/** The program directory, which only administrators can change. */
export const PROGRAM_DIRECTORY = "C:\\Program Files\\LifecycleZero";
export const WINDOWS_EXECUTABLE = `${PROGRAM_DIRECTORY}\\lz-agent.exe`;

/** Well-known SIDs, which do not depend on the language of Windows. */
export const SYSTEM = "S-1-5-18";
const ADMINISTRATORS = "S-1-5-32-544";

/**
 * Restricts the state directory, which contains keys, to SYSTEM and administrators. Any user can create a
 * directory in ProgramData, and the owner of a directory can change its permissions. So these steps first
 * change the owner and then remove inherited permissions. The last step gives all files in the directory the
 * permissions of the directory.
 */
export const protectDirectory = (directory: string): Step[] => [
  must("icacls", directory, "/setowner", `*${ADMINISTRATORS}`, "/T", "/C", "/Q"),
  must(
    "icacls",
    directory,
    "/inheritance:r",
    "/grant:r",
    `*${SYSTEM}:(OI)(CI)F`,
    `*${ADMINISTRATORS}:(OI)(CI)F`,
  ),
  may("icacls", `${directory}\\*`, "/reset", "/T", "/C", "/Q"),
];

export const SERVICE_NAME = "LifecycleZeroAgent";
export const TASK = "\\LifecycleZero\\Agent";

/** Stops and removes the service. `net stop` waits until the service has stopped, but `sc stop` does not. */
export const REMOVE_SERVICE: readonly Step[] = [
  may("net", "stop", SERVICE_NAME, "/y"),
  may("sc", "delete", SERVICE_NAME),
];
/** Stops and removes the scheduled task. */
export const REMOVE_TASK: readonly Step[] = [
  may("schtasks", "/End", "/TN", TASK),
  may("schtasks", "/Delete", "/TN", TASK, "/F"),
];

/** Quotes a command line for CommandLineToArgvW, which treats a backslash as an escape only before a quote. */
export const commandLine = (words: readonly string[]): string =>
  words
    .map((word) =>
      /^[\w:\\./-]+$/.test(word) ? word : `"${word.replace(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, "$&$&")}"`,
    )
    .join(" ");
