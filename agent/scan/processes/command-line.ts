/** An editor runs its extensions with its own executable, which is then node. */
const AS_NODE = "--ms-enable-electron-run-as-node";
/** Options of python, node and java whose value is the next word. */
const WITH_VALUE = /^(?:-[XWr]|--(?:require|import|loader|class-path|module-path)|-cp|-classpath)$/;
const CODE = /^(?:-[A-Za-z]*c|-e|-p|--eval|--print)$/;
const MODULE = /^-[A-Za-z]*m$/;
/** These run what stands anywhere behind them. */
const LAUNCHERS =
  /(?:^|\/)(?:uvicorn|gunicorn|hypercorn|granian|torchrun|accelerate|deepspeed|run|exec|tool|x)$/;

/**
 * How much of a command line, its words joined by a space, says what runs: the program itself and, of an
 * interpreter, the script or module. What is named behind that is edited, searched, copied or run elsewhere.
 */
export function programPart(argv: readonly string[], executable: string, isInterpreter: boolean): number {
  const whole = argv.join(" ");
  // macOS tells the words apart by spaces, and a path may have some.
  const program = Math.max(argv[0]?.length ?? 0, whole.startsWith(executable) ? executable.length : 0);
  if (!isInterpreter && !argv.includes(AS_NODE)) return program;
  let at = 1;
  while (at < argv.length) {
    const word = argv[at]!;
    if (CODE.test(word)) return program;
    if (!word.startsWith("-") && LAUNCHERS.test(word)) return whole.length;
    if (!word.startsWith("-")) break;
    at += MODULE.test(word) ? 1 : WITH_VALUE.test(word) ? 2 : 1;
    if (MODULE.test(word) && !LAUNCHERS.test(argv[at] ?? "")) break;
  }
  return Math.max(program, argv.slice(0, at + 1).join(" ").length);
}
