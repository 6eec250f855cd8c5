import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output } from "ai";
import { llmVerdict, promptOf, SYSTEM } from "./llm-prompt.ts";
import type { RequestVerdict } from "./llm-review.ts";

/** Maximum length of a verdict in tokens. It is enough for an explanation of three sentences. */
const OUTPUT_TOKENS_MAX = 500;
/** Maximum size of a response in bytes. It is far larger than {@link OUTPUT_TOKENS_MAX} tokens with metadata. */
export const ANSWER_BYTES_MAX = 256 * 1024;

export type Endpoint = { baseUrl: string; model: string; apiKey?: string | undefined };

/**
 * Creates a client of an OpenAI-compatible endpoint: a hosted one, Amazon Bedrock, or the company's own
 * llama.cpp or vLLM server.
 *
 * The client sends one request per review, without retries and with temperature 0. It validates the output
 * with zod. An endpoint that supports the schema also enforces it.
 */
export function createLlmClient({ baseUrl, model, apiKey }: Endpoint): RequestVerdict {
  const provider = createOpenAICompatible({
    name: "llm-review",
    baseURL: baseUrl,
    supportsStructuredOutputs: true,
    fetch: bounded as typeof fetch,
    ...(apiKey !== undefined && { apiKey }),
  });
  return async (evidence, abortSignal) => {
    const { output } = await generateText({
      model: provider(model),
      output: Output.object({ schema: llmVerdict }),
      system: SYSTEM,
      prompt: promptOf(evidence),
      temperature: 0,
      maxOutputTokens: OUTPUT_TOKENS_MAX,
      maxRetries: 0,
      abortSignal,
    });
    return llmVerdict.parse(output);
  };
}

/**
 * A `fetch` that follows no redirects and limits the size of the response. Evidence is therefore sent only to
 * the configured endpoint.
 */
async function bounded(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const answer = await fetch(input, { ...init, redirect: "error" });
  if (!answer.body) return answer;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of answer.body) {
    bytes += chunk.length;
    // Throwing inside the loop cancels the body and the request.
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the response is longer than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  const { status, statusText, headers } = answer;
  return new Response(Buffer.concat(chunks), { status, statusText, headers });
}
