import type { Socket } from "bun";

/**
 * Called with the response to a request. `status` is undefined if the connection closed before the response.
 * Times are values of `performance.now()`.
 */
export type Answered = (status: number | undefined, latencyMs: number) => void;
type Job = { bytes: Uint8Array; dueMs: number; answered: Answered };
type Line = {
  socket?: Socket<Line>;
  job?: Job | undefined;
  unsent?: Uint8Array | undefined;
  got?: Buffer | undefined;
};

/** Number of sent jobs at the start of the queue from which the queue is compacted. */
const COMPACT_FROM = 4096;

/** HTTP/1.1 keep-alive connections to one port of this machine. Create it with {@link openPool}. */
export class Pool {
  readonly #port: number;
  readonly #free: Line[] = [];
  readonly #waiting: Job[] = [];
  /** Index of the first job in `#waiting` that is not sent yet. */
  #head = 0;
  #isClosed = false;
  readonly #handlers = {
    data: (socket: Socket<Line>, chunk: Buffer) => this.#receive(socket.data, chunk),
    drain: (socket: Socket<Line>) => {
      const { unsent } = socket.data;
      if (unsent) write(socket.data, unsent);
    },
    close: (socket: Socket<Line>) => this.#reconnect(socket.data),
    error: (socket: Socket<Line>) => this.#reconnect(socket.data),
  };

  constructor(port: number) {
    this.#port = port;
  }

  /** Opens an additional connection. */
  async open(): Promise<void> {
    const line: Line = {};
    await this.#connect(line);
    this.#free.push(line);
  }

  /**
   * Sends a request on a free connection. If no connection is free, queues the request. The latency counts
   * from `dueMs`.
   */
  submit(bytes: Uint8Array, dueMs: number, answered: Answered): void {
    const job = { bytes, dueMs, answered };
    const line = this.#free.pop();
    if (line) start(line, job);
    else this.#waiting.push(job);
  }

  close(): void {
    this.#isClosed = true;
    for (const line of this.#free) line.socket?.end();
  }

  async #connect(line: Line): Promise<void> {
    line.socket = await Bun.connect<Line>({
      hostname: "127.0.0.1",
      port: this.#port,
      data: line,
      socket: this.#handlers,
    });
    line.socket.setNoDelay(true);
  }

  #receive(line: Line, chunk: Buffer): void {
    const got = line.got ? Buffer.concat([line.got, chunk]) : chunk;
    const status = completeStatus(got);
    if (status === undefined) line.got = Buffer.from(got);
    else this.#settle(line, status);
  }

  /** Reports the response for the current job of a connection, then sends the next job on this connection. */
  #settle(line: Line, status: number | undefined): void {
    const { job } = line;
    line.job = undefined;
    line.got = undefined;
    const next = this.#nextJob();
    if (next && line.socket) start(line, next);
    else if (line.socket) this.#free.push(line);
    if (job) job.answered(status, performance.now() - job.dueMs);
  }

  #nextJob(): Job | undefined {
    const next = this.#head < this.#waiting.length ? this.#waiting[this.#head++] : undefined;
    if (this.#head > COMPACT_FROM && this.#head * 2 > this.#waiting.length) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
    return next;
  }

  /** Handles a closed connection: reports that its job got no response, and connects again. */
  #reconnect(line: Line): void {
    if (!line.socket || this.#isClosed) return;
    delete line.socket;
    line.unsent = undefined;
    const index = this.#free.indexOf(line);
    if (index >= 0) this.#free.splice(index, 1);
    this.#settle(line, undefined);
    void this.#connect(line).then(
      () => this.#settle(line, undefined),
      () => {},
    );
  }
}

function start(line: Line, job: Job): void {
  line.job = job;
  write(line, job.bytes);
}

function write(line: Line, bytes: Uint8Array): void {
  const written = line.socket!.write(bytes);
  line.unsent = written < bytes.length ? bytes.subarray(Math.max(0, written)) : undefined;
}

/**
 * Opens keep-alive connections that send prepared bytes. Each connection has one request in flight, without
 * pipelining. A request costs a tenth of a `fetch` call, so that the load generator itself does not dominate
 * the measurement.
 */
export async function openPool(port: number, connections: number): Promise<Pool> {
  const pool = new Pool(port);
  await Promise.all(Array.from({ length: connections }, () => pool.open()));
  return pool;
}

/** Status of a complete response. Undefined while the response is incomplete. */
function completeStatus(got: Buffer): number | undefined {
  const headEnd = got.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = got.toString("latin1", 0, headEnd);
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    if (got.length < headEnd + 4 + Number(length)) return undefined;
  } else if (/\r\ntransfer-encoding: *chunked/i.test(head) && !got.subarray(-5).equals(LAST_CHUNK)) {
    return undefined;
  }
  return Number(head.slice(9, 12));
}

const LAST_CHUNK = Buffer.from("0\r\n\r\n");
