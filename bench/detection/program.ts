/** Where a program comes from: exact versions, by the registry's own client. */
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
  /** Unpacked from its Debian packages, not installed: none of their services starts. */
  | { registry: "debian"; packages: readonly string[] }
  /** Comes with the lab's own tools: Node or Python. */
  | { registry: "none" };

/** Where a program runs: everything it may write is below `home`. */
export type Place = {
  /** A command of the installation, `node_modules/.bin` or a virtual environment's `bin`. */
  bin: (name: string) => string;
  /** A file of the installation. */
  file: (path: string) => string;
  /** A small program of the lab, in bench/detection/apps. */
  app: (name: string) => string;
  /** Writes a file below `home` and gives its path. */
  write: (name: string, text: string) => string;
  home: string;
  host: string;
  port: number;
  /** For what else it must listen on. */
  spare: readonly number[];
  /** A real model of 90 MB, for programs that say `model`. */
  gguf: string;
  /** What it shall ask of its clients, if it is started with a key. */
  key: string | undefined;
};

export type Start = {
  command: readonly string[];
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** `port`: listens on the port of its place. `process`: has no port, it only runs. */
  ready?: "port" | "process";
  /** Runs in a terminal, as a person would start it. */
  terminal?: true;
};

export type Program = {
  /** Name in the lab. */
  name: string;
  source: Source;
  start: (place: Place) => Start;
  /** Loads a real model. */
  model?: true;
  /** Name of a copy of its executable (an interpreter, for a script). */
  as?: string;
  address?: "127.0.0.1" | "::1" | "0.0.0.0";
  /** A TLS proxy of the lab stands before it. */
  tls?: true;
  key?: true;
  /** Runs as `nobody`, when the lab is root. */
  nobody?: true;
};

/** An AI program, and the product that the agent shall name. Any of several ids is right. */
export type AiProgram = Program & {
  wanted: readonly [string, ...string[]];
  /** What the program contains besides: naming it too is not wrong. */
  also?: readonly string[];
};
