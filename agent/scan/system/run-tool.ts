/**
 * Runs a platform tool without a shell. Resolves to its standard output, or to its standard error if `from`
 * is `"stderr"`. Rejects on a timeout and on an exit code that is not in `codes` (default: 0).
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
  if (!codes.includes(code)) throw new Error(`${command[0]} failed with exit code ${code}`);
  return output;
};
