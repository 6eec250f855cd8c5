import type { ParsedValues } from "../../shared/command-line/parse-command.ts";
import { type ParsedProgram, parseProgram } from "../../shared/command-line/program.ts";
import { AGENT_VERSION } from "../platform/agent-version.ts";
import { COMMANDS, type CommandName } from "./commands.ts";

const SETTINGS_NOTES = [
  "Settings can be flags, environment variables, or members of a JSON file with the names of the flags. A flag overrides its " +
    "variable, and a variable overrides the file. Variables: LZ_STATE_DIR, LZ_LOG, LZ_LOG_FILE, LZ_VERBOSE, LZ_INTERVAL, " +
    "LZ_URL, LZ_EMPLOYEE, LZ_ALLOW_HTTP, LZ_PROXY, LZ_NO_PROXY, LZ_CA_FILE.",
  "--config or LZ_CONFIG sets the path of the file. Default on Linux: /etc/lifecyclezero/agent.json, or without root " +
    "~/.config/lifecyclezero/agent.json. Default on macOS: /Library/Application Support/LifecycleZero/agent.json. " +
    "Default on Windows: %ProgramData%\\LifecycleZero\\agent.json.",
];

/** Reads the arguments of `lz-agent`. */
export const parseArguments = (argv: readonly string[]): ParsedProgram<CommandName> =>
  parseProgram(
    {
      call: "lz-agent",
      version: AGENT_VERSION,
      about: "lz-agent finds the AI engines on this host and reports them to your organisation.",
      commands: COMMANDS,
      notes: SETTINGS_NOTES,
    },
    argv,
  );

/** Flags and texts by name, in the format that {@link resolveSettings} accepts. */
export const settingFlags = ({ flags, texts }: Pick<ParsedValues, "flags" | "texts">) => ({
  ...texts,
  ...Object.fromEntries([...flags].map((name) => [name, true])),
});
