/** Source of a program: packages with exact versions, installed by the client of the registry. */
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
  /** Debian packages. The packages are unpacked but not installed, so that none of their services starts. */
  | { registry: "debian"; packages: readonly string[] }
  /** The program uses only Node or Python, which are among the lab's tools. */
  | { registry: "none" };

/** Environment of a running program. The program may write only below `home`. */
export type Place = {
  /**
   * Path of a command in the installation: in `node_modules/.bin`, or in the `bin` folder of a virtual
   * environment.
   */
  bin: (name: string) => string;
  /** Path of a file in the installation. */
  file: (path: string) => string;
  /** Path of one of the lab's small programs in bench/detection/apps. */
  app: (name: string) => string;
  /** Writes a file below `home` and returns the path of the file. */
  write: (name: string, text: string) => string;
  home: string;
  host: string;
  port: number;
  /** Additional free ports. */
  spare: readonly number[];
  /** Path of a real model of 90 MB, for programs that set `model`. */
  gguf: string;
  /** API key that clients must send. Undefined if the program needs no key. */
  key: string | undefined;
};

type Start = {
  command: readonly string[];
  env?: Readonly<Record<string, string>>;
  cwd?: string;
  /** `port`: the program is ready when it listens on the given port. `process`: the program has no port. */
  ready?: "port" | "process";
  /** The program runs in a terminal, as if a user had started it. */
  terminal?: true;
};

export type Program = {
  /** Name of the program in the lab. */
  name: string;
  source: Source;
  start: (place: Place) => Start;
  /** The program loads a real model. */
  model?: true;
  /** Name for a renamed copy of the program's executable. For a script, the interpreter is copied. */
  as?: string;
  address?: "127.0.0.1" | "::1" | "0.0.0.0";
  /** The lab starts a TLS proxy in front of the program. */
  tls?: true;
  key?: true;
  /** The program runs as the user `nobody` if the lab runs as root. */
  nobody?: true;
};

/** An AI program. `wanted`: the correct catalogue ids for the program. One of them must be reported. */
export type AiProgram = Program & {
  wanted: readonly [string, ...string[]];
  /** Catalogue ids of other products inside the program. Reporting them too is not wrong. */
  also?: readonly string[];
};
