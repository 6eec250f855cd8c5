import { ggufFile } from "../../offline/agent/scan/scan-gguf.ts";

const CONTEXT = 16_384;
const WIDTH = 64;
const FEED_FORWARD = 128;
const BLOCKS = 2;

/** Token types from `enum llama_token_type` of llama.cpp. */
const TOKEN = { unknown: 2, control: 3, byte: 6 } as const;
const [, START, END] = [0, 1, 2] as const;
const FIRST_BYTE = 3;
const byteOf = (letter: string): number => FIRST_BYTE + letter.charCodeAt(0);
const byteToken = (byte: number): string => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
const TOKENS = ["<unk>", "<s>", "</s>", ...Array.from({ length: 256 }, (_, byte) => byteToken(byte))];
const TYPES = TOKENS.map((_, token) => {
  if (token >= FIRST_BYTE) return TOKEN.byte;
  return token === 0 ? TOKEN.unknown : TOKEN.control;
});
/** Bias of each token. The token that ends the text has the highest bias, then the end of a string, then letters. */
const LEANINGS = new Map([
  [END, 3],
  [byteOf('"'), 2],
  ...[..."abcdefghijklmnopqrstuvwxyz"].map((letter): [number, number] => [byteOf(letter), 1]),
]);

/** Creates a generator of deterministic numbers between -0.1 and 0.1 (mulberry32). */
function createWeights(seed: number): (count: number) => Float32Array<ArrayBuffer> {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return (count) => Float32Array.from({ length: count }, () => next() / 5 - 0.1);
}

/**
 * Creates a model file for llama.cpp: the Llama architecture with a few hundred thousand random weights and a
 * vocabulary of bytes. The model's output has no meaning. The model prefers tokens that end a text, so a
 * response under a grammar fits its length limit.
 *
 * @param feedForward width of the feed-forward layers. Each unit adds 1.5 KiB to the file.
 */
export function randomLlama(seed = 1, feedForward = FEED_FORWARD): Uint8Array<ArrayBuffer> {
  const random = createWeights(seed);
  const matrix = (columns: number, rows: number) => ({
    shape: [columns, rows],
    weights: random(columns * rows),
  });
  const norm = () => ({ shape: [WIDTH], weights: new Float32Array(WIDTH).fill(1) });
  const embedding = matrix(WIDTH, TOKENS.length);
  const output = matrix(WIDTH, TOKENS.length);
  // The first number of each embedding is large. The model multiplies this number by the token biases.
  for (let token = 0; token < TOKENS.length; token++) embedding.weights[token * WIDTH] = 1;
  for (const [token, leaning] of LEANINGS) output.weights[token * WIDTH] = leaning;
  const block = (at: number) => ({
    [`blk.${at}.attn_norm.weight`]: norm(),
    [`blk.${at}.attn_q.weight`]: matrix(WIDTH, WIDTH),
    [`blk.${at}.attn_k.weight`]: matrix(WIDTH, WIDTH),
    [`blk.${at}.attn_v.weight`]: matrix(WIDTH, WIDTH),
    [`blk.${at}.attn_output.weight`]: matrix(WIDTH, WIDTH),
    [`blk.${at}.ffn_norm.weight`]: norm(),
    [`blk.${at}.ffn_gate.weight`]: matrix(WIDTH, feedForward),
    [`blk.${at}.ffn_up.weight`]: matrix(WIDTH, feedForward),
    [`blk.${at}.ffn_down.weight`]: matrix(feedForward, WIDTH),
  });
  return ggufFile(
    {
      "general.architecture": "llama",
      "general.name": "random",
      "llama.context_length": CONTEXT,
      "llama.embedding_length": WIDTH,
      "llama.block_count": BLOCKS,
      "llama.feed_forward_length": feedForward,
      "llama.attention.head_count": 2,
      "llama.attention.layer_norm_rms_epsilon": 0.000_01,
      "tokenizer.ggml.model": "llama",
      "tokenizer.ggml.tokens": TOKENS,
      "tokenizer.ggml.scores": new Float32Array(TOKENS.length),
      "tokenizer.ggml.token_type": Int32Array.from(TYPES),
      // The server's grammar also reads the end of the prompt. That end does not start with a space.
      "tokenizer.ggml.add_space_prefix": false,
      "tokenizer.ggml.bos_token_id": START,
      "tokenizer.ggml.eos_token_id": END,
      "tokenizer.ggml.unknown_token_id": 0,
    },
    {
      "token_embd.weight": embedding,
      "output_norm.weight": norm(),
      "output.weight": output,
      ...Object.assign({}, ...Array.from({ length: BLOCKS }, (_, at) => block(at))),
    },
  );
}
