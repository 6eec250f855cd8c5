import type { Socket } from "bun";

/** `status` undefined: the connection ended before an answer. Times by `performance.now()`. */
export type Answered = (status: number | undefined, latencyMs: number) => void;
type Job = { bytes: Uint8Array; dueMs: number; answered: Answered };
type Line = {
  socket?: Socket<Line>;
  job?: Job | undefined;
  unsent?: Uint8Array | undefined;
  got?: Buffer | undefined;
};

export type Pool = {
  /** Sends on a free connection, or as soon as one is free. The latency counts from `dueMs`. */
  submit(bytes: Uint8Array, dueMs: number, answered: Answered): void;
  close(): void;
};

/**
 * HTTP/1.1 keep-alive connections that write prepared bytes: one request at a time on each, no pipelining. A
 * tenth of what `fetch` costs, so that the generator is not what is measured.
 */
export async function openPool(port: number, connections: number): Promise<Pool> {
  const free: Line[] = [];
  const waiting: Job[] = [];
  let head = 0;
  let closed = false;

  const handlers = {
    data(socket: Socket<Line>, chunk: Buffer) {
      const line = socket.data;
      const got = line.got ? Buffer.concat([line.got, chunk]) : chunk;
      const status = completeStatus(got);
      if (status === undefined) line.got = Buffer.from(got);
      else settle(line, status);
    },
    drain(socket: Socket<Line>) {
      const { unsent } = socket.data;
      if (unsent) write(socket.data, unsent);
    },
    close: (socket: Socket<Line>) => lost(socket.data),
    error: (socket: Socket<Line>) => lost(socket.data),
  };

  function settle(line: Line, status: number | undefined) {
    const { job } = line;
    line.job = undefined;
    line.got = undefined;
    const next = head < waiting.length ? waiting[head++] : undefined;
    if (head > 4096 && head * 2 > waiting.length) {
      waiting.splice(0, head);
      head = 0;
    }
    if (next && line.socket) start(line, next);
    else if (line.socket) free.push(line);
    if (job) job.answered(status, performance.now() - job.dueMs);
  }

  function lost(line: Line) {
    if (!line.socket || closed) return;
    delete line.socket;
    line.unsent = undefined;
    const index = free.indexOf(line);
    if (index >= 0) free.splice(index, 1);
    settle(line, undefined);
    void connect(line).then(
      () => settle(line, undefined),
      () => {},
    );
  }

  function start(line: Line, job: Job) {
    line.job = job;
    write(line, job.bytes);
  }

  function write(line: Line, bytes: Uint8Array) {
    const written = line.socket!.write(bytes);
    line.unsent = written < bytes.length ? bytes.subarray(Math.max(0, written)) : undefined;
  }

  async function connect(line: Line): Promise<void> {
    line.socket = await Bun.connect<Line>({ hostname: "127.0.0.1", port, data: line, socket: handlers });
    line.socket.setNoDelay(true);
  }

  await Promise.all(
    Array.from({ length: connections }, async () => {
      const line: Line = {};
      await connect(line);
      free.push(line);
    }),
  );
  return {
    submit(bytes, dueMs, answered) {
      const job = { bytes, dueMs, answered };
      const line = free.pop();
      if (line) start(line, job);
      else waiting.push(job);
    },
    close() {
      closed = true;
      for (const line of free) line.socket?.end();
    },
  };
}

/** Status of a response that has arrived whole; undefined while it has not. */
export function completeStatus(got: Buffer): number | undefined {
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
