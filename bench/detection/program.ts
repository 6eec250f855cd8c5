/** Source of a program: exact versions, installed by the registry's own client. */
export type Source =
  | {
      registry: "pypi";
      packages: readonly string[];
      withoutDependencies?: boolean;
      sourceBuild?: boolean;
      python?: string;
    }
  | { registry: "npm"; packages: readonly string[]; scripts?: boolean }
  | { registry: "go"; module: string; command: string; tags?: string }
  | { registry: "crates"; crate: string; version: string; command: string }
  /** Debian packages, unpacked and not installed, so that none of their services starts. */
  | { registry: "debian"; packages: readonly string[] }
  /** Included with the lab's tools: Node or Python. */
  | { registry: "none" };

/** Environment of a running program. It may write below `home` only. */
export type Place = {
  /** A command of the installation, `node_modules/.bin` or a virtual environment's `bin`. */
  bin: (name: string) => string;
  /** A file of the installation. */
  file: (path: string) => string;
  /** A small program of the lab, in bench/detection/apps. */
  app: (name: string) => string;
  /** Writes a file below `home` and returns its path. */
  write: (name: string, text: string) => string;
  home: string;
  host: string;
  port: number;
  /** Further free ports. */
  spare: readonly number[];
  /** Path of a real model of 90 MB, for programs with `model`. */
  gguf: string;
  /** API key that clients must send, if the program starts with a key. */
  key: string | undefined;
};

type Start = {
  command: readonly string[];
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** `port`: the program listens on the given port. `process`: it has no port. */
  ready?: "port" | "process";
  /** Runs in a terminal, as a user would start it. */
  terminal?: true;
};

export type Program = {
  /** Name in the lab. */
  name: string;
  source: Source;
  start: (place: Place) => Start;
  /** Loads a real model. */
  model?: true;
  /** Name for a renamed copy of its executable (for a script, of its interpreter). */
  as?: string;
  address?: "127.0.0.1" | "::1" | "0.0.0.0";
  /** The lab puts a TLS proxy in front of it. */
  tls?: true;
  key?: true;
  /** Runs as the user `nobody` if the lab is root. */
  nobody?: true;
};

/** An AI program and the product ids that are right for it. Any one of them is enough. */
export type AiProgram = Program & {
  wanted: readonly [string, ...string[]];
  /** Ids of other products inside the program; naming these too is not wrong. */
  also?: readonly string[];
};
