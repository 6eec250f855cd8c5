import { join } from "node:path";
import type { Command, Fleet, FleetMeasured, Measured, Ramp, Steady } from "./commands.ts";

export type Generator = {
  steady(command: Steady): Promise<Measured>;
  ramp(command: Ramp): Promise<FleetMeasured>;
  fleet(command: Fleet): Promise<FleetMeasured>;
  stop(): Promise<void>;
};

const ANSWER_WAIT_MS = 15_000;

/** Starts the load generator as a separate process. */
export function startGenerator(answerWaitMs = ANSWER_WAIT_MS): Generator {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "main.ts"), String(answerWaitMs)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  const lines = linesOf(child.stdout);
  const run = async (command: Command): Promise<unknown> => {
    child.stdin.write(`${JSON.stringify(command)}\n`);
    await child.stdin.flush();
    const line = await lines.next();
    if (line.done) throw new Error(`the load generator ended with code ${await child.exited}`);
    return JSON.parse(line.value);
  };
  return {
    steady: (command) => run(command) as Promise<Measured>,
    ramp: (command) => run(command) as Promise<FleetMeasured>,
    fleet: (command) => run(command) as Promise<FleetMeasured>,
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
}
