import { runCommand } from "../../../../../agent/platform/run-command.ts";
import { linesOf } from "../../../../support/run/lines.ts";

export type NamespaceProcess = ReturnType<typeof spawnIn>;

/** Starts a program inside a network namespace. */
export function spawnIn(namespace: string, command: readonly string[], env: Record<string, string> = {}) {
  return Bun.spawn(["ip", "netns", "exec", namespace, ...command], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "ignore",
    env: { ...process.env, ...env },
  });
}

/** Sends lines to a child process. The child responds to each line with one line of JSON. */
export class Dialogue {
  private readonly lines: AsyncIterator<string>;
  constructor(private readonly child: NamespaceProcess) {
    const reader = linesOf(child.stdout);
    this.lines = reader[Symbol.asyncIterator]();
  }
  async hear(): Promise<unknown> {
    const { value } = await this.lines.next();
    return JSON.parse(value);
  }
  async end(): Promise<void> {
    this.child.stdin.end();
    await this.child.exited;
  }
  async say(line: string): Promise<unknown> {
    this.child.stdin.write(`${line}\n`);
    await this.child.stdin.flush();
    return this.hear();
  }
}

const CONNECTION_FAILED = 1;
const TIMED_OUT = 124;

/** Returns whether a TCP connection from inside a namespace succeeds. Throws if the attempt cannot be made. */
export async function reaches(
  namespace: string,
  address: string,
  port: number,
  as: readonly string[] = [],
): Promise<boolean> {
  const script = `exec 3<>/dev/tcp/${address}/${port}`;
  const command = ["nsenter", `--net=/run/netns/${namespace}`, ...as, "timeout", "5", "bash", "-c", script];
  const { code, stderr } = await runCommand(command);
  const isTried =
    code === 0 || code === TIMED_OUT || (code === CONNECTION_FAILED && stderr.includes("connect:"));
  if (!isTried) throw new Error(`${address}:${port} could not be tried: code ${code}, ${stderr}`);
  return code === 0;
}

/** Runs a command line and returns its output. Throws with the output if the command fails. */
export async function mustRun(line: string, stdin?: string): Promise<string> {
  const { code, stdout, stderr } = await runCommand(line.split(" "), stdin);
  if (code !== 0) throw new Error(`${line}: ${stderr}`);
  return stdout;
}
