import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output } from "ai";
import { opinion, promptOf, SYSTEM } from "./llm-prompt.ts";
import type { Ask } from "./llm-review.ts";

/** Enough for a verdict and its three sentences. */
const OUTPUT_TOKENS_MAX = 500;
/** Of one answer: far more than its tokens, and what an endpoint says beside them. */
export const ANSWER_BYTES_MAX = 256 * 1024;

export type Endpoint = { baseUrl: string; model: string; apiKey?: string | undefined };

/**
 * Asks an OpenAI-compatible endpoint: hosted, Bedrock's OpenAI surface, or a llama.cpp or vLLM server of the
 * company's own. One request a question, no retries, temperature 0, output held to the schema by the endpoint where
 * it can and by zod in any case.
 */
export function createAsk({ baseUrl, model, apiKey }: Endpoint): Ask {
  const provider = createOpenAICompatible({
    name: "adjudication",
    baseURL: baseUrl,
    supportsStructuredOutputs: true,
    fetch: bounded as typeof fetch,
    ...(apiKey !== undefined && { apiKey }),
  });
  return async (evidence, abortSignal) => {
    const { output } = await generateText({
      model: provider(model),
      output: Output.object({ schema: opinion }),
      system: SYSTEM,
      prompt: promptOf(evidence),
      temperature: 0,
      maxOutputTokens: OUTPUT_TOKENS_MAX,
      maxRetries: 0,
      abortSignal,
    });
    return opinion.parse(output);
  };
}

/** As `fetch`, but it follows no redirect, for evidence is for the configured endpoint, and reads no endless answer. */
async function bounded(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const answer = await fetch(input, { ...init, redirect: "error" });
  if (!answer.body) return answer;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.length;
    // Leaving the loop cancels the body, and with it the request.
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is longer than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const { status, statusText, headers } = answer;
  return new Response(Buffer.concat(chunks), { status, statusText, headers });
}
