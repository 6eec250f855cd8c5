import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output } from "ai";
import type { Ask } from "./adjudicate.ts";
import { opinion, promptOf, SYSTEM } from "./evaluate/opinion.ts";

/** Enough for a verdict and its three sentences. */
const OUTPUT_TOKENS_MAX = 500;

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
