import type { Collector } from "../../../shared/wire/heartbeat.ts";
import type { CatalogEntry } from "../../catalogue/entry.ts";

/** Facts about a process. `argv` is used to identify engines and is never sent to the control plane. */
export type ProcessFacts = {
  pid: number;
  parentPid: number;
  /** Pid, start time and name. The key changes if the process executes another program. */
  key: string;
  /** The kernel's short name (Linux `comm`, at most 15 bytes) or the name of the executable image. */
  name: string;
  /** Start time in epoch milliseconds. */
  startedAtMs?: number | undefined;
  /** Absolute path with the separators of the platform. */
  executable?: string;
  argv: readonly string[];
  /** Numeric user id. Absent on systems that have no numeric user ids. */
  uid?: number | undefined;
  user?: string | undefined;
  container?: string | undefined;
};

/** A listening TCP socket. `key` stays the same for the lifetime of the socket. */
export type Listener = {
  key: string;
  address: string;
  port: number;
  /** Pid of the socket's owner. Absent if the owner cannot be read. */
  pid?: number;
  /** Numeric user id of the socket's owner. Absent if the system does not report it. */
  uid?: number;
  /**
   * Address at which the agent can reach the socket. Absent if the agent cannot reach it, for example in
   * another network namespace.
   */
  reachableAt?: string;
  /** Name of the socket's network namespace. Absent for the agent's own namespace. */
  network?: string;
  /** Network namespace from which the agent must connect to the socket. */
  inside?: NetworkSpace;
};

/** A listening unix socket, and how the reader process connects to it. */
export type UnixListener = {
  key: string;
  inode: string;
  pid: number;
  uid?: number;
  unix: UnixAddress;
};

/** Address of a unix socket. `name` is the display name without the directory. One of `path` and `abstract` is set. */
export type UnixAddress = {
  name: string;
  path?: string;
  abstract?: string;
  /** Network namespace of an abstract socket. Absent for the agent's own namespace. */
  inside?: NetworkSpace;
  /** Pids of processes that may have called listen(2): the owner and its ancestors with the same user. */
  pids: readonly number[];
  uid: number;
};

/** A listener that the agent can probe. */
export type AnyListener = Listener | UnixListener;

export const isTcp = (listener: AnyListener): listener is Listener => "port" in listener;

export type WeightFormat = "gguf" | "safetensors" | "onnx" | "ggml" | "torch";

/**
 * A model weight file that a process has mapped or open. The agent recognises weights by the content of the
 * file, not by its name.
 */
export type WeightFile = {
  path: string;
  format: WeightFormat;
  sizeBytes: number;
  how: "mapped" | "open";
  /** Set if the file is an archive or a program that contains the weights. */
  inside?: true;
  header?: GgufHeader;
};

/** A model in a file or directory, whether or not a process has loaded it. */
export type ModelOnDisk = { name: string; sizeBytes: number; format?: ModelFormat };
/** `unknown`: a format that has no name in the wire schema. */
export type ModelFormat = WeightFormat | "mlx" | "unknown";

/** Memory of a process with an inference library, and evidence that it holds model weights. */
export type AnonymousMemory = {
  /** Anonymous memory in bytes, resident or swapped out. */
  heldBytes: number;
  /** Bytes read from files, pipes and some sockets since the process started. 0 if the kernel does not count them. */
  readBytes: number;
  /** True if the process maps a GPU device. */
  mapsGpu: boolean;
  /** Weights that the process had mapped or open in an earlier scan but not in this one. */
  earlier: readonly WeightFile[];
  /** Weights in the working directory of the process and in the directories named in its command line. */
  nearby: readonly ModelOnDisk[];
};

export type GpuUse = {
  bytes: number;
  /** Set if the driver reports that the process computes and does not draw, unlike a game or a window. */
  computes?: true;
};

/** The result of one observation of the host. Maps are keyed by pid. */
export type Snapshot = {
  processes: ReadonlyMap<number, ProcessFacts>;
  listeners: readonly Listener[];
  weights: ReadonlyMap<number, readonly WeightFile[]>;
  /** Paths of loaded libraries that a catalogue entry names. */
  libraries: ReadonlyMap<number, readonly string[]>;
  gpu: ReadonlyMap<number, GpuUse>;
  /** Memory of processes with an inference library. Absent if the system does not report it. */
  anonymous?: ReadonlyMap<number, AnonymousMemory>;
  /** Descriptions of the work that exceeded the time budget. The next observation continues this work. */
  waiting?: readonly string[];
  /** Targets of port forwarders by pid. No local user can forge these targets. */
  forwards?: ReadonlyMap<number, Forward>;
  collectors: readonly Collector[];
};

/** Processes and listeners. They are known first and are sufficient to start probing. */
export type Sighting = Pick<Snapshot, "processes"> & { listeners: readonly AnyListener[] };

/** A peer connected to a listener: a local process, or an address of another host. */
export type Peer = { pid: number; connections: number } | { remote: string; connections: number };

/**
 * Observes the host that the agent runs on. There is one implementation per operating system. It caches reads
 * between calls and never throws if data is unreadable.
 */
export type Host = {
  /**
   * Observes the host. Calls `sighted` as soon as processes and listeners are known, so that the caller can start probing
   * while the memory of processes is read.
   */
  observe(sighted?: (sighting: Sighting) => void): Promise<Snapshot>;
  /** Peers at the time of the last {@link Host.observe}, by the key of their listener. */
  peers(listeners: readonly Listener[]): {
    peers: ReadonlyMap<string, readonly Peer[]>;
    collector: Collector;
  };
  /** Listening unix sockets of these processes, best candidates first. Absent on systems that do not report them. */
  unixListeners?(pids: Iterable<number>): { listeners: readonly UnixListener[]; collector: Collector };
  workingDirectory(pid: number): string | undefined;
  /** Name and version of the package that contains the executable of a process. */
  packageOf?(process: ProcessFacts): string | undefined;
  /** Signer of the executable that a process runs. */
  signerOf?(process: ProcessFacts): string | undefined;
  /** Language that the executable of a process interprets, recognised by the content of the file. */
  languageOf?(process: ProcessFacts): Language | "none" | undefined;
  /**
   * Path of the executable that a process runs. On Linux, the path leads to the running file even after the
   * file at its original path was replaced.
   */
  executableFile(process: ProcessFacts): string | undefined;
  /** True if the executable is on a local file system. If this function is absent, all executables are local. */
  isExecutableLocal?(process: ProcessFacts): boolean;
};

/** Metadata of a GGUF file. `parameters` is the size label, or the number of tensor elements if there is no label. */
export type GgufHeader = {
  version: number;
  architecture?: string;
  name?: string;
  parameters?: string;
  quantisation?: string;
  licence?: string;
  publisher?: string;
};

/**
 * A network namespace. `pid`: a process in the namespace. `name`: the target of `/proc/PID/ns/net`, for
 * example `net:[4026532177]`.
 */
export type NetworkSpace = { pid: number; name: string };

/** Target address of a port forwarder. */
export type Forward = { address: string; port: number };

/** Language that an executable interprets. `other`: a language in which no product of the catalogue is written. */
export type Language = NonNullable<CatalogEntry["runsOn"]>[number] | "other";
