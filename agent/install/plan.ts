/** What installing or removing the service does, as data: it can be printed, tested and carried out. */
export type Plan = {
  /** Directories that must exist before the files. */
  directories: readonly string[];
  files: readonly { path: string; content: string; mode: number; encoding: "utf8" | "utf16le" }[];
  /** In order. One that fails ends the work, unless it only makes room. */
  commands: readonly Step[];
  /** Afterwards. */
  removals: readonly string[];
};

/** `tries` beyond one are for systems that answer before they are done with what was asked before. */
export type Step = { command: readonly string[]; mayFail: boolean; tries?: number };

export type ServiceOptions = {
  /** Where the binary is to live for good. */
  executable: string;
  stateDirectory: string;
  /** The configuration file, when one was named. */
  config?: string;
  /** Settings of the installing call that the daemon would not find by itself. Without credentials: units are public. */
  network?: { proxy?: string | undefined; noProxy?: string | undefined; caFile?: string | undefined };
};

export type ServiceKind = {
  /** For people. */
  name: string;
  /** Where `install` puts the binary. */
  executable: string;
  /** Over one that is there as well as afresh: in the end the daemon runs from the binary that is there now. */
  install: (options: ServiceOptions) => Plan;
  uninstall: () => Plan;
};

export const must = (...command: string[]): Step => ({ command, mayFail: false });
export const may = (...command: string[]): Step => ({ command, mayFail: true });
export const insist = (tries: number, ...command: string[]): Step => ({ command, mayFail: false, tries });

/**
 * How the daemon is started. The state directory is part of it because what the system allows the daemon depends
 * on it. Everything else comes from the configuration file, so that a change there needs no second install, unless
 * the installing call named a proxy or a CA file: without them the daemon could not report.
 */
export const daemonWords = ({ stateDirectory, config, network = {} }: ServiceOptions): string[] => [
  "run",
  "--service",
  "--state",
  stateDirectory,
  ...flag("--config", config),
  ...flag("--proxy", network.proxy),
  ...flag("--no-proxy", network.noProxy),
  ...flag("--ca-file", network.caFile),
];

const flag = (name: string, value: string | undefined): string[] =>
  value === undefined ? [] : [name, value];
