import { may, must, type Step } from "./plan.ts";

/** Where programs live that only administrators may replace. */
export const PROGRAM_DIRECTORY = "C:\\Program Files\\LifecycleZero";
export const WINDOWS_EXECUTABLE = `${PROGRAM_DIRECTORY}\\lz-agent.exe`;

/** Well-known SIDs, which have the same name in every language of Windows. */
export const SYSTEM = "S-1-5-18";
const ADMINISTRATORS = "S-1-5-32-544";

/**
 * Keys are for SYSTEM and administrators only. Anyone may make a directory in ProgramData, and whoever made it may
 * give himself any right: so it changes hands first, then what it inherits is taken away, and last what lies in it
 * is left with nothing but that.
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

/** Ends and removes the daemon in either form: there is to be one. net waits until it stopped; sc would only ask. */
export const REMOVE_SERVICE: readonly Step[] = [
  may("net", "stop", SERVICE_NAME, "/y"),
  may("sc", "delete", SERVICE_NAME),
];
export const REMOVE_TASK: readonly Step[] = [
  may("schtasks", "/End", "/TN", TASK),
  may("schtasks", "/Delete", "/TN", TASK, "/F"),
];

/** Words of a command line as CommandLineToArgvW reads them: a backslash counts only in front of a quote. */
export const commandLine = (words: readonly string[]): string =>
  words
    .map((word) =>
      /^[\w:\\./-]+$/.test(word) ? word : `"${word.replace(/(\\*)"/g, '$1$1\\"').replace(/\\+$/, "$&$&")}"`,
    )
    .join(" ");
