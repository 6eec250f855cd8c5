import type { AiProgram } from "../program.ts";

/*
 * Programs for tuning the catalogue. Their responses may be inspected during the work on the catalogue. The
 * list was fixed before the first scan of the lab. held-out.ts contains the other half of the programs.
 */

const MCP_EVERYTHING = {
  registry: "npm",
  packages: ["@modelcontextprotocol/server-everything@2026.8.31"],
} as const;
const FASTCHAT = {
  registry: "pypi",
  packages: ["fschat==0.2.36", "shortuuid==1.0.13", "tiktoken==0.12.0"],
} as const;

export const TUNING: readonly AiProgram[] = [
  {
    name: "litellm",
    wanted: ["litellm"],
    source: { registry: "pypi", packages: ["litellm[proxy]==1.108.0"] },
    key: true,
    start: ({ bin, write, host, port, key }) => ({
      command: [
        bin("litellm"),
        "--config",
        write(
          "litellm.yaml",
          `model_list: [{model_name: small, litellm_params: {model: openai/small, api_base: "http://127.0.0.1:9", api_key: none}}]\ngeneral_settings: {master_key: "${key}"}\n`,
        ),
        "--host",
        host,
        "--port",
        String(port),
      ],
    }),
  },
  {
    name: "chroma",
    wanted: ["chroma"],
    source: { registry: "pypi", packages: ["chromadb==1.5.9"] },
    address: "::1",
    start: ({ bin, home, host, port }) => ({
      command: [bin("chroma"), "run", "--host", host, "--port", String(port), "--path", `${home}/chroma`],
    }),
  },
  {
    name: "infinity",
    wanted: ["infinity"],
    source: { registry: "pypi", packages: ["infinity-emb[server]==0.0.78"] },
    tls: true,
    start: ({ bin, host, port }) => ({
      command: [
        bin("infinity_emb"),
        "v2",
        "--engine",
        "debugengine",
        "--model-id",
        "x",
        "--host",
        host,
        "--port",
        String(port),
      ],
    }),
  },
  {
    name: "mlflow",
    wanted: ["mlflow"],
    source: { registry: "pypi", packages: ["mlflow==3.17.2"] },
    start: ({ bin, home, host, port }) => ({
      command: [
        bin("mlflow"),
        "server",
        "--host",
        host,
        "--port",
        String(port),
        "--backend-store-uri",
        `sqlite:///${home}/mlflow.db`,
        "--workers",
        "1",
      ],
    }),
  },
  {
    name: "gradio",
    wanted: ["gradio"],
    source: { registry: "pypi", packages: ["gradio==6.31.0"] },
    nobody: true,
    start: ({ bin, app, host, port }) => ({
      command: [bin("python"), app("gradio_app.py"), host, String(port)],
      env: { GRADIO_ANALYTICS_ENABLED: "False" },
    }),
  },
  {
    name: "chainlit",
    wanted: ["chainlit"],
    source: { registry: "pypi", packages: ["chainlit==2.12.0"], sourceBuild: true },
    start: ({ bin, app, host, port }) => ({
      command: [bin("chainlit"), "run", app("chainlit_app.py"), "-h", "--host", host, "--port", String(port)],
    }),
  },
  {
    name: "jupyter-ai",
    wanted: ["jupyter-ai"],
    source: { registry: "pypi", packages: ["jupyter-ai==3.2.0", "jupyterlab==4.6.6"] },
    start: ({ bin, host, port }) => ({
      command: [bin("jupyter"), "lab", "--allow-root", "--no-browser", `--ip=${host}`, `--port=${port}`],
    }),
  },
  {
    name: "fastchat-controller",
    wanted: ["fastchat"],
    source: FASTCHAT,
    start: ({ bin, host, port }) => ({
      command: [bin("python"), "-m", "fastchat.serve.controller", "--host", host, "--port", String(port)],
    }),
  },
  {
    name: "claude-code-router",
    wanted: ["claude-code-router"],
    source: { registry: "npm", packages: ["@musistudio/claude-code-router@1.0.73"] },
    start: ({ bin, write, host, port }) => {
      write(
        ".claude-code-router/config.json",
        JSON.stringify({
          PORT: port,
          HOST: host,
          APIKEY: "",
          Providers: [
            {
              name: "none",
              api_base_url: "http://127.0.0.1:9/v1/chat/completions",
              api_key: "none",
              models: ["small"],
            },
          ],
          Router: { default: "none,small" },
        }),
      );
      return { command: [bin("ccr"), "start"], env: { SERVICE_PORT: String(port) } };
    },
  },
  {
    name: "portkey",
    wanted: ["portkey"],
    source: { registry: "npm", packages: ["@portkey-ai/gateway@1.15.2"] },
    nobody: true,
    start: ({ file, port }) => ({
      command: [
        "node",
        file("node_modules/@portkey-ai/gateway/build/start-server.js"),
        `--port=${port}`,
        "--headless",
      ],
    }),
  },
  {
    name: "opencode",
    wanted: ["opencode"],
    source: { registry: "npm", packages: ["opencode-ai@1.18.33"], scripts: true },
    as: "sysupdated",
    key: true,
    start: ({ file, host, port, key }) => ({
      command: [
        file("node_modules/opencode-linux-x64/bin/opencode"),
        "serve",
        "--hostname",
        host,
        "--port",
        String(port),
      ],
      env: { OPENCODE_SERVER_PASSWORD: key! },
    }),
  },
  {
    name: "mcp-everything-http",
    wanted: ["mcp-http"],
    source: MCP_EVERYTHING,
    start: ({ bin, port }) => ({
      command: [bin("mcp-server-everything"), "streamableHttp"],
      env: { PORT: String(port) },
    }),
  },
  {
    name: "mcp-everything-stdio",
    wanted: ["mcp-stdio"],
    source: MCP_EVERYTHING,
    start: ({ bin }) => ({ command: [bin("mcp-server-everything")], ready: "process" }),
  },
  {
    name: "mcp-python-stateless",
    wanted: ["mcp-http"],
    source: { registry: "pypi", packages: ["mcp==2.3.0"] },
    start: ({ bin, app, host, port }) => ({
      command: [bin("python"), app("mcp_stateless.py"), host, String(port)],
    }),
  },
  {
    name: "llama-cpp",
    wanted: ["llama-cpp"],
    source: { registry: "pypi", packages: ["xllamacpp==2026.10.11549"] },
    address: "::1",
    model: true,
    start: ({ bin, app, gguf, host, port }) => ({
      command: [
        bin("python"),
        app("../../../tests/support/programs/llama-server.py"),
        ...["--model", gguf, "--host", host, "--port", String(port)],
        ...["--ctx-size", "256", "--threads", "1"],
      ],
    }),
  },
  {
    name: "node-llama-cpp",
    wanted: ["unknown-weights", "llama-cpp", "node-llama-cpp"],
    source: { registry: "npm", packages: ["node-llama-cpp@3.21.1"] },
    model: true,
    start: ({ app, file, gguf, host, port }) => ({
      command: ["node", app("node_llama.mjs"), file("node_modules/node-llama-cpp"), gguf, host, String(port)],
    }),
  },
  {
    name: "milvus-lite",
    wanted: ["milvus", "milvus-lite"],
    source: { registry: "pypi", packages: ["milvus-lite==3.2.2", "pymilvus==3.0.2"] },
    start: ({ bin, app, home }) => ({
      command: [bin("python"), app("milvus_lite_app.py"), `${home}/lab.db`],
      ready: "process",
    }),
  },
  {
    name: "ray-serve",
    wanted: ["ray-serve"],
    source: { registry: "pypi", packages: ["ray[serve]==2.60.0"] },
    // In this version, ray.init() creates a token, and the server requires it.
    key: true,
    start: ({ bin, app, host, port, spare }) => ({
      command: [bin("python"), app("ray_app.py"), host, String(port), String(spare[0])],
      env: { RAY_USAGE_STATS_ENABLED: "0" },
    }),
  },
  {
    name: "ollama",
    wanted: ["ollama"],
    source: { registry: "go", module: "github.com/ollama/ollama@v0.6.5", command: "." },
    as: "backupd",
    start: ({ bin, home, host, port }) => ({
      command: [bin("ollama"), "serve"],
      env: { OLLAMA_HOST: `${host}:${port}`, OLLAMA_MODELS: `${home}/models` },
    }),
  },
  {
    name: "hayhooks",
    wanted: ["hayhooks"],
    source: { registry: "pypi", packages: ["hayhooks==2.1.0"] },
    as: "reportd",
    start: ({ bin, host, port }) => ({
      command: [bin("hayhooks"), "run", "--host", host, "--port", String(port)],
      env: { HAYSTACK_TELEMETRY_ENABLED: "False" },
    }),
  },
  {
    name: "autogen-studio",
    wanted: ["autogen-studio"],
    source: { registry: "pypi", packages: ["autogenstudio==0.4.2.2"] },
    start: ({ bin, home, host, port }) => ({
      command: [
        bin("autogenstudio"),
        "ui",
        "--host",
        host,
        "--port",
        String(port),
        "--appdir",
        `${home}/autogen`,
      ],
    }),
  },
  {
    name: "codex",
    wanted: ["codex-cli"],
    source: { registry: "npm", packages: ["@openai/codex@0.169.0"] },
    start: ({ bin }) => ({ command: [bin("codex")], ready: "process", terminal: true }),
  },
  {
    name: "qwen-code",
    wanted: ["qwen-code"],
    source: { registry: "npm", packages: ["@qwen-code/qwen-code@0.24.4"] },
    start: ({ bin }) => ({ command: [bin("qwen")], ready: "process", terminal: true }),
  },
];
