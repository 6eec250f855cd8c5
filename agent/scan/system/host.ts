import type { Collector } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";

/** A process as this host shows it. `argv` is read to identify an engine and never leaves the host. */
export type ProcessFacts = {
  pid: number;
  parentPid: number;
  /** Pid, start time and name: it changes when the process becomes another program. */
  key: string;
  /** Kernel's short name (Linux `comm`, at most 15 bytes) or the image name. */
  name: string;
  /** Epoch milliseconds. */
  startedAtMs?: number | undefined;
  /** Absolute path, with the separators of the platform. */
  executable?: string;
  argv: readonly string[];
  /** Numeric user, where the system has one. */
  uid?: number | undefined;
  user?: string | undefined;
  container?: string | undefined;
};

/** A listening TCP socket. `key` stays the same as long as the socket lives. */
export type Listener = {
  key: string;
  address: string;
  port: number;
  /** Absent when the owner cannot be read. */
  pid?: number;
  /** Numeric user of the socket, where the system tells it. */
  uid?: number;
  /** Where a connection from this process reaches it; absent when it cannot (another network namespace). */
  reachableAt?: string;
  /** Name of its network namespace when that is not the agent's own. */
  network?: string;
  /** It is reached only by a connection that starts in this namespace. */
  inside?: NetworkSpace;
};

/** A listening unix socket, and how the reader process gets to it. */
export type UnixListener = {
  key: string;
  inode: string;
  pid: number;
  uid?: number;
  unix: UnixAddress;
};

/** `name`: for people, without the directory. Either `path` or `abstract` leads to it. */
export type UnixAddress = {
  name: string;
  path?: string;
  abstract?: string;
  /** Network namespace that an abstract socket is in, when that is not the agent's own. */
  inside?: NetworkSpace;
  /** Processes that may have called listen(2) on it: its owner and that owner's ancestors of the same user. */
  pids: readonly number[];
  uid: number;
};

/** What listens and can be asked. */
export type AnyListener = Listener | UnixListener;

export const isTcp = (listener: AnyListener): listener is Listener => "port" in listener;

export type WeightFormat = "gguf" | "safetensors" | "onnx" | "ggml" | "torch";

/** A file with model weights that a process has in memory or open. Recognised by content, not by name. */
export type WeightFile = {
  path: string;
  format: WeightFormat;
  sizeBytes: number;
  how: "mapped" | "open";
  /** It is a part of the file, which is an archive or a program. */
  inside?: true;
  header?: GgufHeader;
};

/** A model in a file or directory, whether or not anything has it in memory. */
export type ModelOnDisk = { name: string; sizeBytes: number; format?: ModelFormat };
/** `unknown`: of a format that the wire has no name for. */
export type ModelFormat = WeightFormat | "mlx" | "unknown";

/** Memory of a process that has an inference library loaded, and what speaks for model weights in it. */
export type AnonymousMemory = {
  /** Memory that no file backs, swapped out or not. */
  heldBytes: number;
  /** What it has read from files, pipes and some sockets since it started. 0 where the kernel does not count it. */
  readBytes: number;
  /** It maps a GPU's device. */
  mapsGpu: boolean;
  /** Weights that it had mapped or open in an earlier scan, and has no longer. */
  earlier: readonly WeightFile[];
  /** Weights in its working directory and in directories that its command line names. */
  nearby: readonly ModelOnDisk[];
};

export type GpuUse = {
  bytes: number;
  /** The driver says that it computes and does not draw: no game, no window. */
  computes?: true;
};

/** Everything about this host at one moment. Maps are keyed by pid. */
export type Snapshot = {
  processes: ReadonlyMap<number, ProcessFacts>;
  listeners: readonly Listener[];
  weights: ReadonlyMap<number, readonly WeightFile[]>;
  /** Paths of loaded libraries that matter to the catalogue. */
  libraries: ReadonlyMap<number, readonly string[]>;
  gpu: ReadonlyMap<number, GpuUse>;
  /** Of processes with an inference library. Absent where the system does not report it. */
  anonymous?: ReadonlyMap<number, AnonymousMemory>;
  /** What the time budget left out. The next observation continues with it. */
  waiting?: readonly string[];
  /** What could not be read because its file system does not answer. */
  unanswered?: readonly string[];
  /** Targets of port forwarders that no local user can have made up, by pid. */
  forwards?: ReadonlyMap<number, Forward>;
  collectors: readonly Collector[];
};

/** Who runs and who listens. It is known first, and enough to begin asking. */
export type Sighting = Pick<Snapshot, "processes"> & { listeners: readonly AnyListener[] };

/** A peer connected to a listener: a local process, or an address of another host. */
export type Peer = { pid: number; connections: number } | { remote: string; connections: number };

/** One operating system's way to see. Keeps what it read between calls; never throws for what it cannot. */
export type Host = {
  /** `sighted` is told who listens as soon as that is known, to ask them while the memory of processes is read. */
  observe(sighted?: (sighting: Sighting) => void): Promise<Snapshot>;
  /** Peers of each listener, by its key, at the moment of the last {@link Host.observe}. */
  peers(listeners: readonly Listener[]): {
    peers: ReadonlyMap<string, readonly Peer[]>;
    collector: Collector;
  };
  /** Listening unix sockets of these processes, the strongest first, where the system shows them. */
  unixListeners?(pids: Iterable<number>): { listeners: readonly UnixListener[]; collector: Collector };
  workingDirectory(pid: number): string | undefined;
  /** Name and version of the package a process's executable came with, where the system tells. */
  packageOf?(process: ProcessFacts): string | undefined;
  /** Who signed a process's executable, where the system tells. */
  signerOf?(process: ProcessFacts): string | undefined;
  /** What a process's executable interprets, by its content, where the system shows it. */
  languageOf?(process: ProcessFacts): Language | "none" | undefined;
  /** A path that reads the executable of this very process, whatever replaced the file meanwhile. */
  executableFile(process: ProcessFacts): string | undefined;
  /** Whether that path leads to a local file system. Where this is absent it does. */
  isExecutableLocal?(process: ProcessFacts): boolean;
};

/** What a GGUF file says about itself. `parameters` is counted from the tensor shapes when they can be read. */
export type GgufHeader = {
  version: number;
  architecture?: string;
  name?: string;
  parameters?: string;
  quantisation?: string;
  licence?: string;
  publisher?: string;
};

/** A network namespace: one process that lives in it, and what `/proc/PID/ns/net` says, `net:[4026532177]`. */
export type NetworkSpace = { pid: number; name: string };

/** Where a port forwarder sends what it accepts. */
export type Forward = { address: string; port: number };

/** What an executable interprets; `other` is a language that no product of the catalogue is written in. */
export type Language = NonNullable<CatalogEntry["runsOn"]>[number] | "other";
