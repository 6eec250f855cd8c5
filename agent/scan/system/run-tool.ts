/**
 * Runs a tool of the platform without a shell and gives its standard output, or its standard error where a tool
 * answers there. Rejects when it ends with a code other than `codes` (default 0) or is late.
 */
export type Run = (
  command: readonly string[],
  limits: {
    timeoutMs: number;
    bytesMax: number;
    codes?: readonly number[];
    from?: "stdout" | "stderr";
  },
) => Promise<string>;

export const runTool: Run = async (command, { timeoutMs, bytesMax, codes = [0], from = "stdout" }) => {
  const child = Bun.spawn([...command], {
    stdin: "ignore",
    stdout: from === "stdout" ? "pipe" : "ignore",
    stderr: from === "stderr" ? "pipe" : "ignore",
    windowsHide: true,
    timeout: timeoutMs,
    maxBuffer: bytesMax,
  });
  const output = await new Response(child[from]).text();
  const code = await child.exited;
  if (!codes.includes(code)) throw new Error(`${command[0]} ended with ${code}`);
  return output;
};
