/** What installing or removing the service does, as data: it can be printed, tested and carried out. */
export type Plan = {
  /** Directories that must exist before the files. */
  directories: readonly string[];
  files: readonly { path: string; content: string; mode: number; encoding: "utf8" | "utf16le" }[];
  /** In order. One that fails ends the work, unless it only makes room. */
  commands: readonly { command: readonly string[]; mayFail: boolean }[];
  /** Afterwards. */
  removals: readonly string[];
};

export type ServiceOptions = {
  /** Where the binary is to live for good. */
  executable: string;
  stateDirectory: string;
};

export type ServiceKind = {
  /** Where `install` puts the binary. */
  executable: string;
  install: (options: ServiceOptions) => Plan;
  uninstall: () => Plan;
};

export const must = (...command: string[]) => ({ command, mayFail: false });
export const may = (...command: string[]) => ({ command, mayFail: true });
