/*
 * Grammar of an ordinary name. A list of hostile sentences can never be complete, but the grammar of names is
 * small. A text outside the grammar is not necessarily hostile. It only prevents the language model from
 * lowering a score.
 */

const CHARACTERS_MAX = 120;
/** Maximum number of distinct words that carry meaning. Words in {@link COMMON_WORDS} do not count. */
const WORDS_MAX = 2;
/**
 * Maximum number of words separated by spaces. `Code Helper (Renderer)` is a name, but a text with more words
 * is a sentence.
 */
const SPACED_MAX = 3;
/** Maximum length of a run of letters and digits. A longer run is base64, hex or several joined words. */
const RUN_MAX = 16;

const PLAIN = /^[A-Za-z0-9._:/\\@+~() -]*$/;
/** Sizes, versions and quantisations: `3b`, `8x7b`, `0.30.6`, `b3561`, `Q4_K_M`, `F16`. */
const NUMBERS =
  /(?<![A-Za-z0-9])(?:i?q\d(?:_(?:[klmsx]{1,3}|\d))*|[a-z]?\d+(?:[.x]\d+)*[a-z]?)(?![A-Za-z0-9])/gi;

/** Names of system folders, file extensions and common parts of model names. */
const COMMON_WORDS: ReadonlySet<string> = new Set(
  (
    "c usr local bin sbin opt lib libexec home users applications contents mac os frameworks program files programs data " +
    "roaming library snap current var srv exe app x86 hf co huggingface org com io latest instruct chat coder code " +
    "base distill embed text vision mini small medium large gguf ggml mlx awq gptq onnx bnb bit " +
    "llama qwen deepseek deep seek mistral mixtral gemma phi granite gpt oss nomic python app helper renderer studio lm"
  ).split(" "),
);

/** Stems of words that express a verdict or an instruction. No ordinary name needs one. */
const JUDGING_WORD =
  /^(info|warn|critic|risk|scor|sever|verdict|assess|evaluat|judg|benign|safe|harmless|approv|allow|trust|clean|low|zero|none|ignor|disregard|forget|overrid|bypass|instruct(?!$)|rule|prompt|polic|system$|assistant|user$|answer|respon|reply|output|return|mark|treat|classif|downgrad|flag|alert|report|escalat|verif|exempt|sanction|concern|attention|secur|false)/;

/**
 * True for a short ASCII name of few words without a verdict or an instruction, for example
 * `llama3.2:3b-instruct-q4_K_M`, `Code Helper (Renderer)` or `/usr/local/bin/ollama`. False for other
 * scripts, sentences, spaced letters and encoded text.
 */
export function isPlainName(text: string): boolean {
  if (text.length > CHARACTERS_MAX || !PLAIN.test(text)) return false;
  const spaced = text.split(/[\\/]/).map((part) => part.split(" ").filter((word) => word !== ""));
  if (spaced.some((words) => words.length > SPACED_MAX)) return false;
  if (text.split(/[^A-Za-z0-9]+/).some((run) => run.length > RUN_MAX)) return false;
  const meaningful = new Set<string>();
  for (const word of text.replace(NUMBERS, " ").match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) ?? []) {
    const lower = word.toLowerCase();
    if (JUDGING_WORD.test(lower)) return false;
    if (!COMMON_WORDS.has(lower)) meaningful.add(lower);
  }
  return meaningful.size <= WORDS_MAX;
}
