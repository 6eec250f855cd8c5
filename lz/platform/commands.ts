import {
  type Command,
  choice,
  flag,
  integer,
  type Options,
  requiredText,
  text,
} from "../../shared/command-line/options.ts";

const JSON_OPTION = { json: flag("print the result as one JSON value") };

const CONNECTION = {
  url: text("URL", "origin of the control plane (or set LZ_URL; default: the running local stack)"),
  token: text(
    "TOKEN",
    "session token of an administrator; set LZ_TOKEN instead to keep it out of the process list",
  ),
};

/** Adds the connection options of a command that sends requests to the control plane. */
const online = <const C extends Command>(command: C) => ({
  ...command,
  options: { ...(command.options as C["options"]), ...CONNECTION, ...JSON_OPTION },
});

/** Adds the options of a command that does not connect to the control plane. */
const offline = <const C extends Command>(command: C) => ({
  ...command,
  options: { ...(command.options as C["options"]), ...JSON_OPTION },
});

/** Options that select assets. They are the filters of `GET /v1/assets`. */
const ASSET_FILTER = {
  hostname: text(
    "NAME",
    "part of the host name, case-insensitive; with *, a pattern for the whole name, such as 'vdi-*'",
  ),
  os: text("TEXT", "part of the name of the operating system, case-insensitive"),
  employee: text("ID", "assets of this employee"),
  "silent-for": text(
    "TIME",
    "no heartbeat for at least this long: 30d or 12h; without any heartbeat, counted from enrolment",
  ),
  "never-reported": flag("assets that have enrolled and have never sent a heartbeat"),
  status: choice("STATUS", ["active", "isolated"], "status of the asset"),
  lifecycle: choice(
    "LIST",
    ["active", "expired", "all"],
    "active: assets on the active list; expired: assets taken off it; all: both",
  ),
} as const satisfies Options;

const ASSET = { name: "ASSET", help: "the asset's id, or its host name if only one asset has it" };
const REASON = requiredText("TEXT", "justification; stored in the custody record");
const CONFIRMED = flag("do not ask for confirmation; required when there is no terminal");

/** Definition of `assets revoke` and `assets expire`. */
const retiring = (summary: string, dryRun: string, extra: Options = {}): Command => ({
  summary,
  moreOperands: { ...ASSET, help: `${ASSET.help}. Or select assets with the filters below` },
  options: {
    ...ASSET_FILTER,
    reason: requiredText("TEXT", "justification; stored in the custody record of each asset"),
    "dry-run": flag(dryRun),
    yes: CONFIRMED,
    ...extra,
  },
  notes: [
    "If the command is interrupted, run it again: it continues with the remaining assets. " +
      "The exit code is 1 if any asset failed.",
  ],
});

const IDEMPOTENCY_KEY = (action: string) =>
  text(
    "KEY",
    `idempotency key: repeated requests with the same key ${action} only once (default: a new key)`,
  );

/** Option of `isolate` and `release` for an identity that several machines use. */
const EVERY_COPY = (done: string) =>
  flag(`continue if several machines use this identity; all of them are ${done}`);

const LISTED_MAX = integer("N", [1, 100_000], "maximum number of assets", 1000);
const LETTERS_MAX = integer("N", [1, 1000], "maximum number of messages", 100);

/** Every command with its operands, options and help. */
export const COMMANDS = {
  token: offline({
    summary: "print the administrator's session token of the running local stack",
    options: { viewer: flag("print the token of a user who can only view") },
  }),
  "enroll-token": online({
    summary: "create a token that hosts enrol with",
    options: {
      uses: integer("N", [1, 100_000], "maximum number of hosts that can enrol with the token", 1),
      hours: integer("N", [1, 24 * 90], "hours until the token expires", 24),
    },
  }),
  assets: online({
    summary: "list assets: those on the active list, or those that the filters select",
    options: { ...ASSET_FILTER, limit: LISTED_MAX },
  }),
  "assets revoke": online(
    retiring(
      "revoke assets permanently: their device keys are never accepted again",
      "only list the assets that would be revoked",
      {
        "even-if-contained": flag(
          "revoke isolated assets too; after that, only a release code can release them",
        ),
      },
    ),
  ),
  "assets expire": online(
    retiring(
      "take assets off the active list until their next heartbeat",
      "only list the assets that would be taken off the active list",
    ),
  ),
  "assets merge": online({
    summary: "revoke an asset and record the asset that replaces it",
    operands: [
      { name: "OLD", help: "the asset to revoke: its id or host name" },
      { name: "NEW", help: "the asset that replaces it: its id or host name" },
    ],
    options: {
      reason: requiredText("TEXT", "justification; stored in the custody records of both assets"),
      "dry-run": flag("only show the two assets"),
      yes: CONFIRMED,
      "even-if-active": flag("merge although OLD reported within the last 10 minutes"),
    },
  }),
  incidents: online({
    summary: "list open incidents: critical ones first, then the newest",
    options: {
      risk: choice("RISK", ["critical", "warning"], "only incidents of this risk"),
      limit: integer("N", [1, 100_000], "maximum number of incidents for each risk", 1000),
    },
  }),
  isolate: online({
    summary: "isolate an asset",
    operands: [ASSET],
    options: {
      mode: choice("MODE", ["observe", "stop-engines", "network"], "how to isolate the asset", "observe"),
      reason: REASON,
      key: IDEMPOTENCY_KEY("isolate"),
      "every-copy": EVERY_COPY("isolated"),
    },
  }),
  release: online({
    summary: "release an isolated asset",
    operands: [ASSET],
    options: { reason: REASON, key: IDEMPOTENCY_KEY("release"), "every-copy": EVERY_COPY("released") },
  }),
  "release-code": online({
    summary: "create a one-time code that releases an isolated host without a connection",
    operands: [ASSET],
    options: { reason: REASON, hours: integer("N", [1, 72], "hours until the code expires", 24) },
    notes: ["Enter the code on the host: lz-agent release --code CODE"],
  }),
  "audit verify": online({
    summary: "check the custody log for edited, deleted, reordered, truncated and forked records",
    options: {
      file: text("FILE", "a saved export (default: fetch the log from the control plane)"),
      keys: text("FILE", "public control keys (JWKS); the checkpoint must be signed by one of them"),
      anchor: text("FILE", "an earlier export; its records must be in the log, in the same order"),
    },
    notes: ["With --file the check runs offline."],
  }),
  "audit export": online({
    summary: "save the whole custody log with its head and signed checkpoint",
    options: {
      out: text("FILE", "file to write (default: stdout)"),
      format: choice(
        "FORMAT",
        ["jsonl", "json"],
        "JSON Lines (a manifest, then one record a line) or one JSON object",
        "jsonl",
      ),
    },
  }),
  "catalog sign": offline({
    summary: "sign a catalogue of engines for the agents, offline",
    options: {
      in: requiredText("FILE", "the catalogue: dist/catalogue.json, written by bun run build:agent"),
      out: requiredText("FILE", "file for the signed catalogue; serve it at the edge's LZ_CATALOGUE_URL"),
      key: text("FILE", "private control key, a JWK (default: the variable LZ_CONTROL_KEY)"),
    },
  }),
  simulate: online({
    summary: "enrol a fleet of simulated assets and send their heartbeats to the control plane",
    options: {
      endpoints: integer("N", [1, 20_000], "number of simulated assets"),
      seconds: integer("S", [1, 3600], "duration of the simulation in seconds", 30),
      interval: integer("MS", [100, 600_000], "milliseconds between two heartbeats of an asset", 5000),
      risky: integer("PERCENT", [0, 100], "percentage of assets with an engine that opens an incident", 5),
    },
  }),
  capacity: offline({
    summary:
      "estimate the monthly AWS price of a fleet, compared with one message and one write per heartbeat",
    options: {
      endpoints: integer("N", [1, 10_000_000], "number of assets"),
      interval: integer("MS", [100, 600_000], "milliseconds between two heartbeats of an asset", 5000),
      resolution: integer(
        "S",
        [0, 3600],
        "telemetryResolutionSeconds of the tenant (0 stores every heartbeat)",
        60,
      ),
      bytes: integer("N", [200, 60_000], "size of one heartbeat in bytes", 1500),
      changes: integer("N", [0, 100_000], "changes of state per asset and day", 20),
      retention: integer("DAYS", [1, 3650], "number of days that telemetry is kept", 180),
      nodes: integer("N", [1, 10_000], "number of edge nodes that share the fleet", 1),
      wait: integer("MS", [1, 1000], "milliseconds that a node collects heartbeats for one message", 5),
    },
  }),
  keys: offline({
    summary: "create all keys of a new installation, as NAME=value lines",
    options: {
      out: text("FILE", "write a new file with mode 0600 instead of printing; an existing file is an error"),
    },
    notes: [
      "Keep the output in a secret store. Give LZ_CONTROL_KEY to admin nodes only, LZ_ENROL_KEY to nodes that " +
        "enrol hosts, and the sets of public keys (LZ_CONTROL_JWKS, LZ_ENROL_JWKS) to every edge and worker.",
    ],
  }),
  rotate: offline({
    summary: "replace a key in three steps, without rejecting a heartbeat",
    operands: [
      { name: "KEY", of: ["edge", "queue", "control"], help: "the key to replace" },
      {
        name: "STEP",
        of: ["add", "promote", "drop"],
        help: "add makes the new key known, promote signs with it, drop removes the old key",
      },
    ],
    options: {
      env: requiredText("FILE", "file with the current keys, as NAME=value lines of lz keys"),
      write: flag("write the changed lines to the file, with mode 0600, instead of printing them"),
    },
    notes: ["Roll out each step to every node before the next step. See docs/rotation.md."],
  }),
  "dlq list": offline({
    summary: "list the messages in the dead-letter queue, each with its reason",
    options: { limit: LETTERS_MAX },
    notes: ["The command uses the queue in SQS_QUEUE_URL, or the queue of the local stack."],
  }),
  "dlq replay": offline({
    summary: "send signed messages from the dead-letter queue to the queue again, after you fixed the cause",
    options: { limit: LETTERS_MAX },
    notes: [
      "The command uses the queue in SQS_QUEUE_URL, or the queue of the local stack. Messages that the worker can never " +
        "process stay in the dead-letter queue.",
    ],
  }),
  "table sign": offline({
    summary: "sign a tenant's items that grant rights or hold decisions and have no valid signature",
    operands: [{ name: "TENANT", help: "id of the tenant" }],
    options: {
      env: requiredText(
        "FILE",
        "keys as NAME=value lines of lz keys: LZ_CONTROL_KEY signs, LZ_CONTROL_JWKS verifies",
      ),
      write: flag("sign the items; without it, only list them"),
    },
    notes: [
      "A signature confirms the current content of the table, so read the list first. See docs/rotation.md. " +
        "The command uses the table LZ_TABLE in AWS_REGION, or the table of the local stack.",
    ],
  }),
  "policy test": online({
    summary: "apply a policy to recorded telemetry and show which rules would have matched",
    operands: [{ name: "FILE", help: "the policy as JSON; see docs/policy.md" }],
    options: {
      days: integer("N", [1, 365], "number of days of telemetry", 7),
      limit: integer("N", [1, 10_000], "maximum number of assets", 1000),
    },
  }),
  doctor: online({
    summary: "check this machine and the installation, and say how to fix each fault",
    options: {},
  }),
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof COMMANDS;
