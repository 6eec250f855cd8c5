import {
  type Command,
  choice,
  flag,
  type Options,
  requiredText,
  text,
} from "../../shared/command-line/options.ts";

const STATE = {
  config: text("FILE", "configuration file (default: see lz-agent --help)"),
  state: text("DIR", "directory for keys and waiting heartbeats (default: the directory of the platform)"),
} as const satisfies Options;

const NETWORK = {
  proxy: text(
    "URL",
    "address of a proxy, such as http://proxy.example.com:3128, or none for no proxy (default: HTTPS_PROXY, HTTP_PROXY or ALL_PROXY)",
  ),
  "no-proxy": text("HOSTS", "hosts to reach without the proxy, separated by commas (default: NO_PROXY)"),
  "ca-file": text(
    "FILE",
    "file with PEM certificates of your own CA, trusted in addition to those of the system",
  ),
} as const satisfies Options;

const LOG = {
  log: choice("FORMAT", ["text", "json"], "format of the log (default: text, or json for a service)"),
  "log-file": text("FILE", "log to this file instead of stderr; a full file is renamed to FILE.1"),
  verbose: flag("also log details for developers"),
} as const satisfies Options;

const ALLOW_HTTP = { "allow-http": flag("accept a control plane on another host without TLS") };

const json = (help: string) => ({ json: flag(help) });

/** Every command with its operands, options and help. */
export const COMMANDS = {
  enroll: {
    summary: "enrol this host as an asset of your organisation",
    options: {
      url: text("URL", "origin of the control plane: https://lz.example.com (or set LZ_URL)"),
      "token-file": text(
        "FILE",
        "file with the enrolment token of an administrator, or - for standard input (or set LZ_ENROLL_TOKEN)",
      ),
      token: text(
        "TOKEN",
        "the enrolment token itself; other users of this host can see it in the process list",
      ),
      employee: text("ID", "employee who uses this host (default: the user who runs this command)"),
      ...ALLOW_HTTP,
      force: flag("enrol again even if this host is already enrolled"),
      ...NETWORK,
      ...STATE,
      ...LOG,
    },
  },
  run: {
    summary: "run the daemon, which scans and reports this host until it is stopped",
    options: {
      interval: text("MS", "milliseconds between heartbeats, 100 to 3600000 (default: the tenant's setting)"),
      "token-file": text(
        "FILE",
        "file with an enrolment token; if this disk was copied from another machine, this machine enrols itself with it (or set LZ_ENROLL_TOKEN)",
      ),
      service: flag(
        "only for the system's service manager: report the daemon's state to it, and log JSON lines",
      ),
      ...NETWORK,
      ...STATE,
      ...LOG,
    },
  },
  status: {
    summary: "show whether this host is enrolled and reporting",
    options: { ...json("print one JSON object"), ...STATE },
    notes: ["Exit code: 0 if the daemon runs, 3 if it does not run or this host is not enrolled."],
  },
  release: {
    summary: "release this host from isolation with a one-time code, even without a network connection",
    options: {
      code: requiredText("CODE", "the code that an administrator created for this host with lz release-code"),
      ...STATE,
    },
  },
  scan: {
    summary: "scan this host once for AI engines; needs no control plane and no enrolment",
    options: {
      complete: flag("scan for up to 120 s, for hosts where 10 s are too short"),
      "allow-partial": flag("use exit code 0 even if the scan is partial"),
      ...json(
        "print one JSON object: status is complete or partial, and missing lists what the scan could not read",
      ),
      ...STATE,
    },
    notes: [
      "A scan takes up to 10 s. Exit code: 0 if the scan is complete, 4 if it is partial because of missing time or permission. " +
        "The output names what is missing.",
    ],
  },
  explain: {
    summary: "show every field that this host sends, its current value and why it is sent",
    options: { ...json("print one JSON array"), ...STATE },
  },
  doctor: {
    summary: "check everything that the agent needs to report, and say how to fix each failure",
    options: {
      url: text("URL", "check whether this host could enrol at this control plane"),
      ...ALLOW_HTTP,
      ...json("print one JSON object"),
      ...NETWORK,
      ...STATE,
    },
    notes: [
      "Checks settings, state directory, enrolment, name resolution, proxy, TLS, control plane, clock and daemon. " +
        "Needs no enrolment. Exit code: 0 if nothing failed, 1 if a check failed.",
    ],
  },
  service: {
    summary: "install the daemon as a service that starts with the system, or uninstall it",
    operands: [
      {
        name: "ACTION",
        of: ["install", "uninstall"],
        help: "install also upgrades; install and uninstall keep keys, identity and waiting heartbeats",
      },
    ],
    options: {
      print: flag("show the files and commands, without writing or running them"),
      force: flag("uninstall even if this host is isolated; it then stays isolated"),
      ...NETWORK,
      ...STATE,
    },
  },
} as const satisfies Record<string, Command>;

export type CommandName = keyof typeof COMMANDS;
