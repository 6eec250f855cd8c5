/**
 * The steps that install or remove the service, represented as data, so that a plan can be printed, tested
 * and carried out.
 */
export type Plan = {
  /** Directories to create before any files are written. */
  directories: readonly string[];
  files: readonly { path: string; content: string; mode: number; encoding: "utf8" | "utf16le" }[];
  /**
   * Commands in the order in which they are run. A failed command ends the plan, unless the step is allowed
   * to fail.
   */
  commands: readonly Step[];
  /** Files to delete after the commands have run. */
  removals: readonly string[];
};

/**
 * One command of a plan. `tries` is above 1 if the previous command returns before its effect is complete.
 * This command can then fail at first.
 */
export type Step = { command: readonly string[]; mayFail: boolean; tries?: number };

export type ServiceOptions = {
  /** Path of the installed binary. */
  executable: string;
  stateDirectory: string;
  /** Path of the configuration file. Absent if the user did not give one. */
  config?: string;
  /**
   * Network settings of the install command, which the daemon does not inherit. They contain no credentials,
   * because all users can read the service definition.
   */
  network?: { proxy?: string | undefined; noProxy?: string | undefined; caFile?: string | undefined };
};

export type ServiceKind = {
  /** Name of this kind of service, for messages. */
  name: string;
  /** Path to which `install` copies the binary. */
  executable: string;
  /** Installs or upgrades. Afterwards, the daemon runs the new binary. */
  install: (options: ServiceOptions) => Plan;
  uninstall: () => Plan;
};

export const must = (...command: string[]): Step => ({ command, mayFail: false });
export const may = (...command: string[]): Step => ({ command, mayFail: true });
export const insist = (tries: number, ...command: string[]): Step => ({ command, mayFail: false, tries });

/**
 * Arguments of the daemon. They contain the state directory, because the permissions of the service depend on
 * it. They also contain the proxy and CA file from the install command, because the daemon cannot report
 * without them. Other settings come from the configuration file, where a change does not require a new
 * installation.
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
