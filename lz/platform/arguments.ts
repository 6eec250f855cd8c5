import { parseArgs } from "node:util";
import { Misuse } from "./faults.ts";

type Whole = { min: number; max: number; default?: number };

export type Command = {
  summary: string;
  /** Operands by name, all of them required. */
  operands: readonly string[];
  /** Any number of further operands of this name, or none. */
  variadic?: string;
  flags?: readonly string[];
  /** Option to the word that stands for its value in the help. */
  texts?: Readonly<Record<string, string>>;
  required?: readonly string[];
  wholes?: Readonly<Record<string, Whole>>;
  choices?: Readonly<Record<string, readonly string[]>>;
  help: readonly string[];
  /** False for a command that needs no control plane. */
  connects?: false;
};

/** Options that choose assets, the same as the filters of `GET /v1/assets`. */
const ASSET_FILTER = {
  texts: { hostname: "NAME", os: "TEXT", employee: "ID", "silent-for": "TIME" },
  flags: ["never-reported"],
  choices: { lifecycle: ["active", "expired", "all"], status: ["active", "isolated"] },
  help: [
    "  --hostname NAME part of the host name, in any case; a pattern for the whole of it with *: 'vdi-*'",
    "  --os TEXT       part of the operating system, in any case",
    "  --employee ID   assets of this employee",
    "  --silent-for TIME  no heartbeat for at least so long: 30d or 12h; never reported counts from enrolment",
    "  --never-reported   enrolled, and no heartbeat has ever come",
    "  --status STATUS active or isolated",
    "  --lifecycle WHICH  active (on the active list), expired (left it) or all",
  ],
} as const;

const retiring = (verb: string, more: readonly string[], moreFlags: readonly string[]) =>
  ({
    operands: [],
    variadic: "ASSET",
    flags: ["dry-run", "yes", ...ASSET_FILTER.flags, ...moreFlags],
    texts: { ...ASSET_FILTER.texts, reason: "TEXT" },
    choices: ASSET_FILTER.choices,
    required: ["reason"],
    help: [
      "  ASSET           its id, or its host name when only one asset has that; or choose by filters instead:",
      ...ASSET_FILTER.help,
      "  --reason TEXT   justification, kept in the custody record of each asset",
      `  --dry-run       only list what would be ${verb}`,
      "  --yes           do not ask; without a terminal it is required",
      ...more,
      "  It goes on where it was interrupted when you run it again. Exit code 1 if any asset failed.",
    ],
  }) as const;

/** Every command with its options, limits and help. One table, no switch. */
export const COMMANDS = {
  token: {
    summary: "print the administrator's token of the running local stack",
    operands: [],
    flags: ["viewer"],
    help: ["  --viewer        the token of a person who may only look"],
    connects: false,
  },
  "enroll-token": {
    summary: "make a token that lets devices into the organisation",
    operands: [],
    wholes: { uses: { min: 1, max: 100_000, default: 1 }, hours: { min: 1, max: 24 * 90, default: 24 } },
    help: [
      "  --uses N        how many devices may use it (default 1)",
      "  --hours N       how long it is good for (default 24)",
    ],
  },
  assets: {
    summary: "list the assets of the organisation that are on the active list, or others",
    operands: [],
    flags: ASSET_FILTER.flags,
    texts: ASSET_FILTER.texts,
    choices: ASSET_FILTER.choices,
    wholes: { limit: { min: 1, max: 100_000, default: 1000 } },
    help: [...ASSET_FILTER.help, "  --limit N       at most this many (default 1000)"],
  },
  "assets revoke": {
    summary: "revoke assets for good: their device keys never report again",
    ...retiring(
      "revoked",
      ["  --even-if-contained  isolated assets too: from then on only a release code frees them"],
      ["even-if-contained"],
    ),
  },
  "assets expire": {
    summary: "take assets off the active list until their next heartbeat",
    ...retiring("taken off the list", [], []),
  },
  "assets merge": {
    summary: "merge an asset into the one that took its place",
    operands: ["OLD", "NEW"],
    flags: ["dry-run", "yes", "even-if-active"],
    texts: { reason: "TEXT" },
    required: ["reason"],
    help: [
      "  OLD             the asset that is revoked and superseded: its id, or its host name",
      "  NEW             the asset that takes its place",
      "  --reason TEXT   justification, kept in the custody records of both",
      "  --dry-run       only show the two",
      "  --yes           do not ask; without a terminal it is required",
      "  --even-if-active  although OLD reported within the last 10 minutes",
    ],
  },
  incidents: {
    summary: "list open incidents, the worst and then the newest first",
    operands: [],
    choices: { risk: ["critical", "warning"] },
    wholes: { limit: { min: 1, max: 100_000, default: 1000 } },
    help: [
      "  --risk RISK     only critical or only warning (default both)",
      "  --limit N       at most this many of each (default 1000)",
    ],
  },
  isolate: {
    summary: "isolate an asset",
    operands: ["ASSET"],
    choices: { mode: ["observe", "stop-engines", "network"] },
    texts: { reason: "TEXT", key: "KEY" },
    flags: ["every-copy"],
    required: ["reason"],
    help: [
      "  ASSET           its id, or its host name when only one asset has that",
      "  --mode MODE     observe (default), stop-engines or network",
      "  --reason TEXT   justification, kept in the custody record",
      "  --key KEY       idempotency key: the same key never isolates twice (default: a new one)",
      "  --every-copy    although several machines use its identity: each of them is isolated",
    ],
  },
  release: {
    summary: "release an isolated asset",
    operands: ["ASSET"],
    texts: { reason: "TEXT", key: "KEY" },
    flags: ["every-copy"],
    required: ["reason"],
    help: [
      "  ASSET           its id, or its host name when only one asset has that",
      "  --reason TEXT   justification, kept in the custody record",
      "  --key KEY       idempotency key: the same key never releases twice (default: a new one)",
      "  --every-copy    although several machines use its identity: each of them is released",
    ],
  },
  "release-code": {
    summary: "make a one-time code that frees a stranded host without a connection",
    operands: ["ASSET"],
    texts: { reason: "TEXT" },
    wholes: { hours: { min: 1, max: 72, default: 24 } },
    required: ["reason"],
    help: [
      "  ASSET           its id, or its host name when only one asset has that",
      "  --reason TEXT   justification, kept in the custody record",
      "  --hours N       how long it is good for, 1 to 72 (default 24)",
    ],
  },
  "audit verify": {
    summary: "check the custody log offline: edits, deletions, reorders, truncations and forks are found",
    operands: [],
    texts: { file: "FILE", keys: "FILE", anchor: "FILE" },
    help: [
      "  --file FILE     a saved export (default: the log is fetched first)",
      "  --keys FILE     public control keys (JWKS) that must have signed the checkpoint",
      "  --anchor FILE   an earlier export: what it held must still be there, in the same order",
    ],
  },
  "audit export": {
    summary: "save the whole custody log with its head and signed checkpoint",
    operands: [],
    texts: { out: "FILE" },
    choices: { format: ["jsonl", "json"] },
    help: [
      "  --out FILE      write it there (default: stdout)",
      "  --format FORMAT jsonl (default): a manifest, then one record a line; or json",
    ],
  },
  "catalog sign": {
    summary: "sign a catalogue of engines for the agents, offline",
    operands: [],
    texts: { in: "FILE", out: "FILE", key: "FILE" },
    required: ["in", "out"],
    help: [
      "  --in FILE       the catalogue: dist/catalogue.json, which bun run build:agent writes",
      "  --out FILE      signed; put it where LZ_CATALOGUE_URL of the edge points",
      "  --key FILE      private control key, a JWK (default: the environment's LZ_CONTROL_KEY)",
    ],
    connects: false,
  },
  simulate: {
    summary: "run a fleet of simulated assets against the control plane",
    operands: [],
    wholes: {
      endpoints: { min: 1, max: 20_000 },
      seconds: { min: 1, max: 3600, default: 30 },
      interval: { min: 100, max: 600_000, default: 5000 },
      risky: { min: 0, max: 100, default: 5 },
    },
    required: ["endpoints"],
    help: [
      "  --endpoints N   how many, 1 to 20000; each is enrolled as an asset of its own",
      "  --seconds S     how long they report (default 30)",
      "  --interval MS   time between heartbeats of one (default 5000)",
      "  --risky PERCENT how many run something that opens an incident (default 5)",
    ],
  },
  capacity: {
    summary: "plan a fleet and what AWS asks for it, beside the one-send, one-write design",
    operands: [],
    wholes: {
      endpoints: { min: 1, max: 10_000_000 },
      interval: { min: 100, max: 600_000, default: 5000 },
      resolution: { min: 0, max: 3600, default: 60 },
      bytes: { min: 200, max: 60_000, default: 1500 },
      changes: { min: 0, max: 100_000, default: 20 },
      retention: { min: 1, max: 3650, default: 180 },
      wait: { min: 1, max: 1000, default: 5 },
      nodes: { min: 1, max: 10_000, default: 1 },
    },
    required: ["endpoints"],
    help: [
      "  --endpoints N   how many",
      "  --interval MS   time between heartbeats of one (default 5000)",
      "  --resolution S  telemetryResolutionSeconds of the tenant, 0 for every heartbeat (default 60)",
      "  --bytes N       size of one heartbeat (default 1500)",
      "  --changes N     changes of state per asset and day (default 20)",
      "  --retention D   days telemetry is kept (default 180)",
      "  --nodes N       edge nodes the fleet is spread over (default 1)",
      "  --wait MS       how long a node lets heartbeats gather for one message (default 5)",
    ],
    connects: false,
  },
  keys: {
    summary: "make the keys of a new installation, as environment lines",
    operands: [],
    texts: { out: "FILE" },
    help: [
      "  --out FILE      write a new file that only its owner may read (mode 0600) instead of printing",
      "  Keep what it prints in a secret store. LZ_CONTROL_KEY is for admin nodes only, LZ_ENROL_KEY for nodes",
      "  that enrol; the sets of public keys go to every edge and worker.",
    ],
    connects: false,
  },
  rotate: {
    summary: "replace a key without refusing a heartbeat: add, promote, drop",
    operands: ["KEY", "STEP"],
    texts: { env: "FILE" },
    flags: ["write"],
    required: ["env"],
    help: [
      "  KEY             edge, queue or control",
      "  STEP            add, promote or drop; roll each out everywhere before the next",
      "  --env FILE      the present values, as lz keys prints them; what changes is printed",
      "  --write         change the file instead of printing: it is then readable by its owner only",
    ],
    connects: false,
  },
  "dlq list": {
    summary: "list what was set aside because it cannot be processed, and why",
    operands: [],
    wholes: { limit: { min: 1, max: 1000, default: 100 } },
    help: [
      "  --limit N       at most this many (default 100)",
      "  The queue is SQS_QUEUE_URL, or that of the local stack.",
    ],
    connects: false,
  },
  "dlq replay": {
    summary: "put signed messages on the queue again, after what stopped them was mended",
    operands: [],
    wholes: { limit: { min: 1, max: 1000, default: 100 } },
    help: [
      "  --limit N       at most this many (default 100)",
      "  What the worker buried with a reason stays: it would be buried again.",
    ],
    connects: false,
  },
  "table sign": {
    summary: "sign the items of a tenant that grant or decide and have no valid signature",
    operands: ["TENANT"],
    flags: ["write"],
    texts: { env: "FILE" },
    required: ["env"],
    help: [
      "  TENANT          id of the tenant",
      "  --env FILE      keys as lz keys prints them: LZ_CONTROL_KEY signs, LZ_CONTROL_JWKS verifies",
      "  --write         sign; without it the command only lists what it would sign",
      "  It vouches for what is stored now: read the list first. See docs/rotation.md.",
      "  The table is LZ_TABLE in AWS_REGION, or that of the local stack.",
    ],
    connects: false,
  },
  "policy test": {
    summary: "try a policy against recorded telemetry: what would have fired",
    operands: ["FILE"],
    wholes: { days: { min: 1, max: 365, default: 7 }, limit: { min: 1, max: 10_000, default: 1000 } },
    help: [
      "  FILE            the policy, JSON as in docs/policy.md",
      "  --days N        how far back (default 7)",
      "  --limit N       at most this many assets (default 1000)",
    ],
  },
  doctor: {
    summary: "check this machine and the running stack, and say what to do",
    operands: [],
    help: [],
  },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof COMMANDS;

export type Arguments = {
  name: CommandName;
  json: boolean;
  operands: readonly string[];
  flags: ReadonlySet<string>;
  texts: Readonly<Record<string, string | undefined>>;
  wholes: Readonly<Record<string, number>>;
};

export type Parsed = { is: "command"; args: Arguments } | { is: "help"; text: string };

/** Reads the words behind `bun run lz`. Throws {@link Misuse} with one line for what cannot be meant. */
export function parseArguments(argv: readonly string[]): Parsed {
  const [first, second] = argv;
  if (first === undefined) throw new Misuse("a command is needed: try bun run lz --help");
  if (first === "--help" || first === "-h" || first === "help") return { is: "help", text: overview() };
  const isHelp = argv.includes("--help") || argv.includes("-h");
  const name = [`${first} ${second}`, first].find(isCommand);
  if (name !== undefined) {
    if (isHelp) return { is: "help", text: helpOf(name) };
    return { is: "command", args: parseCommand(name, argv.slice(name.split(" ").length)) };
  }
  const family = Object.keys(COMMANDS).filter((known) => known.startsWith(`${first} `));
  if (family.length === 0) throw new Misuse(`unknown command ${quote(first)}: try bun run lz --help`);
  if (isHelp) return { is: "help", text: family.map((each) => helpOf(each as CommandName)).join("\n\n") };
  throw new Misuse(`${first}: one of ${family.join(", ")} is needed`);
}

const isCommand = (text: string): text is CommandName => Object.hasOwn(COMMANDS, text);

const quote = (text: string): string => JSON.stringify(text.slice(0, 60));

const textNames = (command: Command): string[] => [
  ...Object.keys(command.texts ?? {}),
  ...Object.keys(command.choices ?? {}),
  ...Object.keys(command.wholes ?? {}),
  ...(command.connects === false ? [] : ["url", "token"]),
];

function parseCommand(name: CommandName, words: readonly string[]): Arguments {
  const command: Command = COMMANDS[name];
  const wrong = (reason: string) => new Misuse(`${name}: ${reason}`);
  const options: Record<string, { type: "boolean" | "string" }> = { json: { type: "boolean" } };
  for (const flag of command.flags ?? []) options[flag] = { type: "boolean" };
  for (const text of textNames(command)) options[text] = { type: "string" };
  let parsed: { values: Record<string, unknown>; positionals: string[] };
  try {
    parsed = parseArgs({ args: [...words], options, strict: true, allowPositionals: true });
  } catch (cause) {
    throw wrong(cause instanceof Error ? complaint(cause.message) : "bad arguments");
  }
  const { values, positionals: operands } = parsed;
  const missing = command.operands[operands.length];
  if (missing !== undefined) throw wrong(`${missing} is needed`);
  const surplus = command.variadic ? undefined : operands[command.operands.length];
  if (surplus !== undefined) throw wrong(`unexpected ${quote(surplus)}`);
  const texts: Record<string, string> = {};
  for (const option of textNames(command)) {
    const value = values[option];
    if (value === "") throw wrong(`--${option} is empty`);
    if (typeof value === "string") texts[option] = value;
  }
  const needed = command.required?.find((option) => texts[option] === undefined);
  if (needed) throw wrong(`--${needed} is needed`);
  for (const [option, choices] of Object.entries(command.choices ?? {})) {
    const value = texts[option];
    if (value !== undefined && !choices.includes(value))
      throw wrong(`--${option} must be one of ${choices.join(", ")}`);
  }
  const wholes: Record<string, number> = {};
  for (const [option, { min, max, default: unset }] of Object.entries(command.wholes ?? {})) {
    const value = texts[option];
    if (value === undefined) {
      if (unset !== undefined) wholes[option] = unset;
      continue;
    }
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max))
      throw wrong(`--${option} must be a whole number, ${min} to ${max}`);
    wholes[option] = number;
  }
  const flags = new Set((command.flags ?? []).filter((flag) => values[flag] === true));
  return { name, json: values.json === true, operands, flags, texts, wholes };
}

/** parseArgs adds advice for developers behind the first sentence, and calls a value that begins with - ambiguous. */
function complaint(message: string): string {
  const first = message.split(/\. |\n/)[0]!.replace(/\.$/, "");
  const [, option] = /^Option '(?:-\w, )?(--[\w-]+)' argument is ambiguous/.exec(first) ?? [];
  return option ? `${option} needs a value, and one that begins with - as ${option}=VALUE` : first;
}

function overview(): string {
  const lines = Object.entries(COMMANDS).map(([name, { summary }]) => `  ${name.padEnd(14)}${summary}`);
  return [
    "lz is the operator's command line of LifecycleZero.",
    "",
    "usage: bun run lz COMMAND [options]",
    "",
    ...lines,
    "",
    "bun run lz COMMAND --help tells more. Every command takes --json.",
    "Without --url it talks to the local stack that bun run start has started.",
  ].join("\n");
}

function helpOf(name: CommandName): string {
  const command: Command = COMMANDS[name];
  const more = command.variadic ? ` [${command.variadic}...]` : "";
  const operands = `${command.operands.map((operand) => ` ${operand}`).join("")}${more}`;
  return [
    `${command.summary[0]!.toUpperCase()}${command.summary.slice(1)}.`,
    "",
    `usage: bun run lz ${name}${operands} [options]`,
    "",
    ...command.help,
    ...(command.connects === false
      ? []
      : [
          "  --url URL       origin of the control plane (or LZ_URL; default: the running local stack)",
          "  --token TOKEN   session token of an administrator (better in LZ_TOKEN: other users see arguments)",
        ]),
    "  --json          the answer as one JSON value",
  ].join("\n");
}
