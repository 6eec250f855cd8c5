import { type ParseArgsConfig, parseArgs } from "node:util";

type Options = NonNullable<ParseArgsConfig["options"]>;

const PLACE = { state: { type: "string" }, config: { type: "string" } } as const satisfies Options;
const JSON_FLAG = { json: { type: "boolean" } } as const satisfies Options;
const NETWORK = {
  proxy: { type: "string" },
  "no-proxy": { type: "string" },
  "ca-file": { type: "string" },
} as const satisfies Options;
const LOG = {
  log: { type: "string" },
  "log-file": { type: "string" },
  verbose: { type: "boolean" },
} as const satisfies Options;

/** Every command with its options, its help and the words that may follow it. One table, no switch. */
export const COMMANDS = {
  enroll: {
    summary: "make this host an asset of your organisation",
    options: {
      url: { type: "string" },
      token: { type: "string" },
      "token-file": { type: "string" },
      employee: { type: "string" },
      "allow-http": { type: "boolean" },
      force: { type: "boolean" },
      ...NETWORK,
      ...PLACE,
      ...LOG,
    },
    required: [],
    words: [],
    help: [
      "usage: lz-agent enroll --url URL --token-file FILE [options]",
      "",
      "  --url URL           origin of the control plane, https://lz.example.com",
      "  --token-file FILE   file with the enrolment token of an administrator, - for standard input",
      "                      (or the variable LZ_ENROLL_TOKEN)",
      "  --token TOKEN       the token itself: others on this host may see it in a list of processes",
      "  --employee ID       who works at this host (default: the user that runs this)",
      "  --allow-http        accept a control plane without TLS beyond this host",
      "  --force             enrol again although this host is enrolled",
    ],
  },
  run: {
    summary: "report this host until stopped: the daemon",
    options: {
      interval: { type: "string" },
      service: { type: "boolean" },
      "token-file": { type: "string" },
      ...NETWORK,
      ...PLACE,
      ...LOG,
    },
    required: [],
    words: [],
    help: [
      "usage: lz-agent run [options]",
      "",
      "  --interval MS       time between heartbeats, 100 to 3600000 (default: what the tenant set)",
      "  --token-file FILE   enrolment token with which a copied disk enrols its new machine",
      "                      (or the variable LZ_ENROLL_TOKEN)",
      "  --service           started by the system: answer its service manager, log JSON lines where it looks for them",
    ],
  },
  status: {
    summary: "say whether this host is enrolled and reporting",
    options: { ...JSON_FLAG, ...PLACE },
    required: [],
    words: [],
    help: [
      "usage: lz-agent status [options]",
      "",
      "Ends with 0 when the daemon runs, with 3 when it does not or this host is not enrolled.",
      "",
      "  --json              one JSON object on stdout",
    ],
  },
  release: {
    summary: "free this host with a one-time code of an administrator, also without a connection",
    options: { code: { type: "string" }, ...PLACE },
    required: ["code"],
    words: [],
    help: [
      "usage: lz-agent release --code CODE [options]",
      "",
      "  --code CODE         what `lz release-code` printed for this very host",
    ],
  },
  scan: {
    summary: "find the AI engines of this host once; no server needed",
    options: { complete: { type: "boolean" }, ...JSON_FLAG, ...PLACE },
    required: [],
    words: [],
    help: [
      "usage: lz-agent scan [options]",
      "",
      "Takes up to 10 s. Ends with 4 when that was not enough to look at everything; says what is missing.",
      "",
      "  --complete          take up to 120 s, and end with 4 when anything could not be read, for lack of rights too",
      "  --json              one JSON object on stdout; its status is complete or partial, missing says what is",
    ],
  },
  explain: {
    summary: "print every field that leaves this host, its value now and why it is sent",
    options: { ...JSON_FLAG, ...PLACE },
    required: [],
    words: [],
    help: ["usage: lz-agent explain [options]", "", "  --json              one JSON array on stdout"],
  },
  doctor: {
    summary: "check what the agent needs to report, and name the cure of each failure",
    options: {
      url: { type: "string" },
      "allow-http": { type: "boolean" },
      ...JSON_FLAG,
      ...NETWORK,
      ...PLACE,
    },
    required: [],
    words: [],
    help: [
      "usage: lz-agent doctor [options]",
      "",
      "Checks settings, state directory, enrolment, name resolution, proxy, TLS, control plane, clock and daemon.",
      "Ends with 0 when nothing failed, else with 1. Needs no enrolment.",
      "",
      "  --url URL           check this control plane: whether this host could enrol there",
      "  --allow-http        accept a control plane without TLS beyond this host",
      "  --json              one JSON object on stdout",
    ],
  },
  service: {
    summary: "start the daemon with the system, or stop doing so",
    options: { print: { type: "boolean" }, force: { type: "boolean" }, ...NETWORK, ...PLACE },
    required: [],
    words: ["install", "uninstall"],
    help: [
      "usage: lz-agent service install|uninstall [options]",
      "",
      "  --print             show what would be written and run, and change nothing",
      "  --force             uninstall on an isolated host too; that does not free it",
    ],
  },
} as const satisfies Record<
  string,
  {
    summary: string;
    options: Options;
    required: readonly string[];
    words: readonly string[];
    help: readonly string[];
  }
>;

export type CommandName = keyof typeof COMMANDS;
export type Values = Readonly<Record<string, string | boolean | undefined>>;

export type Parsed =
  | { is: "command"; name: CommandName; values: Values; word: string | undefined }
  | { is: "text"; text: string }
  | { is: "wrong"; reason: string };

const COMMON_HELP = {
  config: "  --config FILE       configuration (default: the platform's place, see lz-agent --help)",
  state: "  --state DIR         where keys and spool are (default: the platform's directory)",
  proxy: "  --proxy URL         http://proxy.example.com:3128, or none (default: HTTPS_PROXY and its like)",
  "no-proxy":
    "  --no-proxy HOSTS    hosts reached without the proxy, with commas between (default: NO_PROXY)",
  "ca-file": "  --ca-file FILE      PEM certificates of your own CA, trusted beside those of the system",
  log: "  --log FORMAT        text or json lines (default: text)",
  "log-file": "  --log-file FILE     log there instead of to stderr; a full file becomes FILE.1",
  verbose: "  --verbose           log what is of interest to developers too",
} as const;

const SETTINGS_HELP = [
  "Settings may also be variables or stand in a JSON file under the names of their flags. Flags go before variables",
  "(LZ_STATE_DIR, LZ_LOG, LZ_LOG_FILE, LZ_VERBOSE, LZ_INTERVAL, LZ_URL, LZ_EMPLOYEE, LZ_ALLOW_HTTP, LZ_PROXY,",
  "LZ_NO_PROXY, LZ_CA_FILE), those before the file (--config, LZ_CONFIG, else /etc/lifecyclezero/agent.json, /Library/Application Support/LifecycleZero/",
  "agent.json or %ProgramData%\\LifecycleZero\\agent.json; without root ~/.config/lifecyclezero/agent.json).",
] as const;

/** Reads the words behind the program's name. Wrong ones are told in one line, for exit code 2. */
export function parseArguments(argv: readonly string[], version: string): Parsed {
  const [first, ...rest] = argv;
  if (first === undefined) return { is: "wrong", reason: "a command is needed: try lz-agent --help" };
  if (first === "--help" || first === "-h" || first === "help") return { is: "text", text: overview() };
  if (first === "--version" || first === "-v") return { is: "text", text: `lz-agent ${version}` };
  if (!isCommand(first))
    return { is: "wrong", reason: `unknown command ${quote(first)}: try lz-agent --help` };
  return parseCommand(first, rest);
}

function parseCommand(name: CommandName, args: readonly string[]): Parsed {
  const command = COMMANDS[name];
  if (args.includes("--help") || args.includes("-h")) return { is: "text", text: helpOf(name) };
  let values: Values;
  let words: string[];
  try {
    const parsed = parseArgs({
      args: [...args],
      options: command.options,
      strict: true,
      allowPositionals: true,
    });
    values = parsed.values as Values;
    words = parsed.positionals;
  } catch (cause) {
    return {
      is: "wrong",
      reason: `${name}: ${cause instanceof Error ? firstSentence(cause.message) : "bad arguments"}`,
    };
  }
  const [word, surplus] = words;
  const known: readonly string[] = command.words;
  if (known.length === 0 && word !== undefined)
    return { is: "wrong", reason: `${name}: unexpected ${quote(word)}` };
  if (known.length > 0 && (word === undefined || !known.includes(word))) {
    return { is: "wrong", reason: `${name}: one of ${known.join(", ")} is needed` };
  }
  if (surplus !== undefined) return { is: "wrong", reason: `${name}: unexpected ${quote(surplus)}` };
  const missing = command.required.find((option) => !values[option]);
  if (missing) return { is: "wrong", reason: `${name}: --${missing} is needed` };
  const empty = Object.keys(values).find((option) => values[option] === "");
  if (empty) return { is: "wrong", reason: `${name}: --${empty} is empty` };
  return { is: "command", name, values, word };
}

const isCommand = (text: string): text is CommandName => Object.hasOwn(COMMANDS, text);

const quote = (text: string): string => JSON.stringify(text.slice(0, 60));

/** parseArgs adds advice for developers behind the first sentence. */
const firstSentence = (message: string): string => message.split(/\. |\n/)[0]!.replace(/\.$/, "");

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return [
    "lz-agent finds the AI engines of this host and reports them to your organisation.",
    "",
    "usage: lz-agent COMMAND [options]",
    "",
    ...lines,
    "",
    ...SETTINGS_HELP,
    "",
    "lz-agent COMMAND --help tells more, lz-agent --version the version.",
  ].join("\n");
}

function helpOf(name: CommandName): string {
  const { help, summary, options } = COMMANDS[name];
  const common = Object.entries(COMMON_HELP).filter(([option]) => option in options);
  return [
    `${summary[0]!.toUpperCase()}${summary.slice(1)}.`,
    "",
    ...help,
    ...common.map(([, line]) => line),
  ].join("\n");
}
