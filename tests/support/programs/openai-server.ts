/** A stub with the OpenAI chat completions protocol on a real socket. A test can make the stub misbehave. */
export type OpenAiServer = {
  baseUrl: string;
  /** Bodies of the requests that the stub has received. */
  requests: {
    model: string;
    stream?: boolean;
    messages: { role: string; content: unknown }[];
    response_format?: unknown;
  }[];
  authorizations: (string | null)[];
  answer: (respond: () => Response | Promise<Response>) => void;
  stop: () => Promise<void>;
};

export const completion = (content: string | null, more: object = {}): Response =>
  Response.json({
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_760_000_000,
    model: "test-model",
    choices: [{ index: 0, message: { role: "assistant", content, ...more }, finish_reason: "stop" }],
    usage: { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 },
  });

export function startOpenAiServer(): OpenAiServer {
  const requests: OpenAiServer["requests"] = [];
  const authorizations: (string | null)[] = [];
  let respond: () => Response | Promise<Response> = () =>
    completion(JSON.stringify({ risk: "WARNING", score: 55, explanation: "An engine nobody approved." }));
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 30,
    async fetch(request) {
      if (new URL(request.url).pathname !== "/v1/chat/completions")
        return new Response("no", { status: 404 });
      authorizations.push(request.headers.get("authorization"));
      requests.push((await request.json()) as OpenAiServer["requests"][number]);
      return respond();
    },
  });
  return {
    baseUrl: `http://127.0.0.1:${server.port}/v1`,
    requests,
    authorizations,
    answer: (next) => {
      respond = next;
    },
    stop: () => server.stop(true),
  };
}
