/** The steps that install or remove the service, as data: a plan can be printed, tested and carried out. */
export type Plan = {
  /** Directories that must exist before the files. */
  directories: readonly string[];
  files: readonly { path: string; content: string; mode: number; encoding: "utf8" | "utf16le" }[];
  /** Run in this order. A failure ends the plan, unless the step may fail. */
  commands: readonly Step[];
  /** Files to delete after the commands. */
  removals: readonly string[];
};

/** `tries` above 1: the previous command returns before its effect is complete, so this one may fail at first. */
export type Step = { command: readonly string[]; mayFail: boolean; tries?: number };

export type ServiceOptions = {
  /** Path of the installed binary. */
  executable: string;
  stateDirectory: string;
  /** The configuration file, if the user named one. */
  config?: string;
  /** Network settings of the install command, which the daemon does not inherit. No credentials: units are readable by all. */
  network?: { proxy?: string | undefined; noProxy?: string | undefined; caFile?: string | undefined };
};

export type ServiceKind = {
  /** Display name. */
  name: string;
  /** Path to which `install` copies the binary. */
  executable: string;
  /** Installs or upgrades: afterwards the daemon runs the present binary. */
  install: (options: ServiceOptions) => Plan;
  uninstall: () => Plan;
};

export const must = (...command: string[]): Step => ({ command, mayFail: false });
export const may = (...command: string[]): Step => ({ command, mayFail: true });
export const insist = (tries: number, ...command: string[]): Step => ({ command, mayFail: false, tries });

/**
 * Arguments of the daemon. They contain the state directory because the service's permissions depend on it, and the
 * proxy and CA file of the install command because the daemon cannot report without them. Other settings come from the
 * configuration file, where a change needs no new installation.
 */
export const daemonArguments = ({ stateDirectory, config, network = {} }: ServiceOptions): string[] => [
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
