/*
 * What an ordinary name looks like. A list of hostile sentences is never complete, in no language; the grammar of
 * names is small. Whatever is outside of it need not be hostile: it only takes away the right to lower anything.
 */

const CHARACTERS_MAX = 120;
/** Words that tell something; what is in {@link FREE} tells nothing, and the same word twice is one. */
const WORDS_MAX = 2;
/** Between blanks: `Code Helper (Renderer)` is a name, more is a sentence. */
const SPACED_MAX = 3;
/** A longer run of letters and digits is no word: base64, hex, words run together. */
const RUN_MAX = 16;

const PLAIN = /^[A-Za-z0-9._:/\\@+~() -]*$/;
/** Sizes, versions and quantisations: `3b`, `8x7b`, `0.30.6`, `b3561`, `Q4_K_M`, `F16`. */
const NUMBERS =
  /(?<![A-Za-z0-9])(?:i?q\d(?:_(?:[klmsx]{1,3}|\d))*|[a-z]?\d+(?:[.x]\d+)*[a-z]?)(?![A-Za-z0-9])/gi;

/** Folders that systems come with, endings of files, and what every other model is called. */
const FREE: ReadonlySet<string> = new Set(
  (
    "c usr local bin sbin opt lib libexec home users applications contents mac os frameworks program files programs data " +
    "roaming library snap current var srv exe app x86 hf co huggingface org com io latest instruct chat coder code " +
    "base distill embed text vision mini small medium large gguf ggml mlx awq gptq onnx bnb bit " +
    "llama qwen deepseek deep seek mistral mixtral gemma phi granite gpt oss nomic python app helper renderer studio lm"
  ).split(" "),
);

/** Beginnings of words that a verdict or an order is made of. No name needs one to be itself. */
const VERDICT =
  /^(info|warn|critic|risk|scor|sever|verdict|assess|evaluat|judg|benign|safe|harmless|approv|allow|trust|clean|low|zero|none|ignor|disregard|forget|overrid|bypass|instruct(?!$)|rule|prompt|polic|system$|assistant|user$|answer|respon|reply|output|return|mark|treat|classif|downgrad|flag|alert|report|escalat|verif|exempt|sanction|concern|attention|secur|false)/;

/**
 * True for ASCII of bounded length and few words, none of which judges or commands: `llama3.2:3b-instruct-q4_K_M`,
 * `Code Helper (Renderer)`, `/usr/local/bin/ollama`. Other scripts, sentences, spaced letters and encoded text are none.
 */
export function isPlainName(text: string): boolean {
  if (text.length > CHARACTERS_MAX || !PLAIN.test(text)) return false;
  const spaced = text.split(/[\\/]/).map((part) => part.split(" ").filter((word) => word !== ""));
  if (spaced.some((words) => words.length > SPACED_MAX)) return false;
  if (text.split(/[^A-Za-z0-9]+/).some((run) => run.length > RUN_MAX)) return false;
  const told = new Set<string>();
  for (const word of text.replace(NUMBERS, " ").match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) ?? []) {
    const lower = word.toLowerCase();
    if (VERDICT.test(lower)) return false;
    if (!FREE.has(lower)) told.add(lower);
  }
  return told.size <= WORDS_MAX;
}
