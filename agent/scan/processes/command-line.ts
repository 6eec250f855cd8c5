/** Argument with which an Electron editor runs its own executable as Node, for its extensions. */
const AS_NODE = "--ms-enable-electron-run-as-node";
/** Options of python, node and java whose value is the next argument. */
const WITH_VALUE = /^(?:-[XWr]|--(?:require|import|loader|class-path|module-path)|-cp|-classpath)$/;
const CODE = /^(?:-[A-Za-z]*c|-e|-p|--eval|--print)$/;
const MODULE = /^-[A-Za-z]*m$/;
/** Programs that run a module named in any later argument. */
const LAUNCHERS =
  /(?:^|\/)(?:uvicorn|gunicorn|hypercorn|granian|torchrun|accelerate|deepspeed|run|exec|tool|x)$/;

/**
 * Number of characters of a command line (arguments joined by a space) that name the running program. They
 * consist of the executable and, for an interpreter, the script or module. Later arguments name files to
 * edit, search or copy.
 */
export function programPart(argv: readonly string[], executable: string, isInterpreter: boolean): number {
  const whole = argv.join(" ");
  // On macOS, the arguments are split at spaces, although the path of the executable can itself contain
  // spaces.
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
