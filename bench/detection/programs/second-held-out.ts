import type { AiProgram } from "../program.ts";

/*
 * The second held-out set. It contains 20 programs that are in neither tuning.ts nor held-out.ts. Ten are
 * programs of products that are not in the other lists. The other ten are other programs, versions or
 * settings of products in those lists. The list was committed before its first scan, and the set is scanned
 * once. docs/detection-lab.md has the result.
 */

export const SECOND_HELD_OUT: readonly AiProgram[] = [
  {
    name: "claude-code",
    wanted: ["claude-code"],
    source: { registry: "npm", packages: ["@anthropic-ai/claude-code@2.1.328"], scripts: true },
    start: ({ bin, home, write }) => {
      // Skips the first-start dialogue, which needs the network.
      write(
        ".claude.json",
        JSON.stringify({
          hasCompletedOnboarding: true,
          customApiKeyResponses: { approved: ["none"], rejected: [] },
          projects: { [home]: { hasTrustDialogAccepted: true } },
        }),
      );
      return {
        command: [bin("claude")],
        cwd: home,
        env: {
          ANTHROPIC_API_KEY: "none",
          ANTHROPIC_BASE_URL: "http://127.0.0.1:9",
          CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        },
        ready: "process",
        terminal: true,
      };
    },
  },
  {
    name: "mlx-lm",
    wanted: ["mlx-lm"],
    source: { registry: "pypi", packages: ["mlx-lm[cpu]==0.32.2"] },
    as: "textd",
    start: ({ bin, host, port }) => ({
      command: [bin("mlx_lm.server"), "--host", host, "--port", String(port)],
    }),
  },
  {
    name: "mlx-vlm",
    wanted: ["mlx-vlm"],
    source: { registry: "pypi", packages: ["mlx-vlm==0.7.10", "mlx[cpu]==0.32.4"] },
    nobody: true,
    start: ({ bin, host, port }) => ({
      command: [bin("mlx_vlm.server"), "--host", host, "--port", String(port)],
    }),
  },
  {
    name: "nvidia-dynamo",
    wanted: ["nvidia-dynamo"],
    source: { registry: "pypi", packages: ["ai-dynamo==1.0.0"] },
    start: ({ bin, host, port, home }) => ({
      command: [
        ...[bin("python"), "-m", "dynamo.frontend", "--http-host", host, "--http-port", String(port)],
        ...["--discovery-backend", "file", "--request-plane", "tcp", "--event-plane", "zmq"],
      ],
      env: { DYN_FILE_KV: `${home}/dynamo` },
    }),
  },
  {
    name: "docker-model-runner",
    wanted: ["docker-model-runner"],
    source: { registry: "go", module: "github.com/docker/model-runner@v1.0.10", command: "." },
    start: ({ bin, home, port }) => ({
      command: [bin("model-runner")],
      env: {
        MODEL_RUNNER_PORT: String(port),
        MODELS_PATH: `${home}/models`,
        DISABLE_SERVER_UPDATE: "true",
        LLAMA_SERVER_PATH: home,
      },
    }),
  },
  {
    name: "openhands",
    wanted: ["openhands"],
    source: { registry: "pypi", packages: ["openhands==1.16.0"], python: "3.12", sourceBuild: true },
    start: ({ bin, home }) => ({ command: [bin("openhands")], cwd: home, ready: "process", terminal: true }),
  },
  {
    name: "kserve",
    wanted: ["kserve"],
    source: { registry: "pypi", packages: ["kserve==0.21.0"] },
    tls: true,
    start: ({ bin, app, port, spare }) => ({
      command: [
        ...[bin("python"), app("kserve_app.py")],
        ...["--http_port", String(port), "--grpc_port", String(spare[0])],
      ],
    }),
  },
  {
    name: "ramalama",
    wanted: ["ramalama"],
    source: { registry: "pypi", packages: ["ramalama==0.25.0"] },
    start: ({ bin, home }) => ({
      command: [bin("ramalama"), "chat", "--url", "http://127.0.0.1:9/v1"],
      cwd: home,
      ready: "process",
      terminal: true,
    }),
  },
  {
    name: "litert-lm",
    wanted: ["litert-lm"],
    source: { registry: "pypi", packages: ["litert-lm==0.18.1"] },
    start: ({ bin, host, port }) => ({
      command: [bin("litert-lm"), "serve", "--host", host, "--port", String(port)],
    }),
  },
  {
    name: "mcp-grafana",
    wanted: ["mcp-http"],
    source: { registry: "go", module: "github.com/grafana/mcp-grafana@v1.6.3", command: "./cmd/mcp-grafana" },
    start: ({ bin, host, port }) => ({
      command: [bin("mcp-grafana"), "-t", "streamable-http", "--address", `${host}:${port}`],
      env: { GRAFANA_URL: "http://127.0.0.1:9" },
    }),
  },
  {
    name: "mcp-server-fetch",
    wanted: ["mcp-stdio"],
    source: { registry: "pypi", packages: ["mcp-server-fetch==2026.10.24"] },
    start: ({ bin }) => ({ command: [bin("mcp-server-fetch")], ready: "process" }),
  },
  {
    name: "mcp-sequential-thinking",
    wanted: ["mcp-stdio"],
    source: { registry: "npm", packages: ["@modelcontextprotocol/server-sequential-thinking@2026.8.31"] },
    start: ({ bin }) => ({ command: [bin("mcp-server-sequential-thinking")], ready: "process" }),
  },
  {
    name: "chroma-npm",
    wanted: ["chroma"],
    source: { registry: "npm", packages: ["chromadb@3.0.6", "chromadb-js-bindings-linux-x64-gnu@1.0.1"] },
    address: "::1",
    start: ({ bin, home, host, port }) => ({
      command: [bin("chroma"), "run", "--host", host, "--port", String(port), "--path", `${home}/chroma`],
    }),
  },
  {
    name: "jupyter-ai-2",
    wanted: ["jupyter-ai"],
    source: { registry: "pypi", packages: ["jupyter-ai==2.31.6", "jupyterlab==4.6.6"] },
    // Jupyter creates a token by itself.
    key: true,
    start: ({ bin, host, port }) => ({
      command: [bin("jupyter"), "lab", "--allow-root", "--no-browser", `--ip=${host}`, `--port=${port}`],
    }),
  },
  {
    name: "copilot-language-server",
    wanted: ["github-copilot"],
    source: { registry: "npm", packages: ["@github/copilot-language-server@1.539.0"] },
    start: ({ bin }) => ({ command: [bin("copilot-language-server"), "--stdio"], ready: "process" }),
  },
  {
    name: "kimi-cli",
    wanted: ["kimi-code"],
    source: { registry: "pypi", packages: ["kimi-cli==1.52.0"], python: "3.12", sourceBuild: true },
    start: ({ bin, home }) => ({ command: [bin("kimi")], cwd: home, ready: "process", terminal: true }),
  },
  {
    name: "gradio-5-login",
    wanted: ["gradio"],
    source: { registry: "pypi", packages: ["gradio==5.49.1"] },
    key: true,
    start: ({ bin, app, host, port, key }) => ({
      command: [bin("python"), app("gradio_login_app.py"), host, String(port)],
      env: { GRADIO_ANALYTICS_ENABLED: "False", LAB_KEY: key! },
    }),
  },
  {
    name: "fastchat-openai",
    wanted: ["fastchat"],
    source: {
      registry: "pypi",
      packages: ["fschat==0.2.36", "shortuuid==1.0.13", "tiktoken==0.12.0"],
    },
    address: "::1",
    start: ({ bin, host, port }) => ({
      command: [
        ...[bin("python"), "-m", "fastchat.serve.openai_api_server", "--host", host, "--port", String(port)],
        ...["--controller-address", "http://127.0.0.1:9"],
      ],
    }),
  },
  {
    name: "mlflow-2-login",
    wanted: ["mlflow"],
    source: {
      registry: "pypi",
      packages: ["mlflow[auth]==2.22.2", "setuptools==80.9.0", "sqlalchemy==2.0.44"],
    },
    key: true,
    start: ({ bin, home, host, port, key }) => ({
      command: [
        ...[bin("mlflow"), "server", "--app-name", "basic-auth", "--host", host, "--port", String(port)],
        ...["--backend-store-uri", `sqlite:///${home}/mlflow.db`, "--workers", "1"],
      ],
      cwd: home,
      env: { MLFLOW_FLASK_SERVER_SECRET_KEY: key! },
    }),
  },
  {
    name: "chainlit-1",
    wanted: ["chainlit"],
    source: {
      registry: "pypi",
      packages: ["chainlit==1.3.2", "pydantic==2.10.1", "sniffio==1.3.1"],
      sourceBuild: true,
    },
    as: "syncd",
    start: ({ bin, app, host, port }) => ({
      command: [bin("chainlit"), "run", app("chainlit_app.py"), "-h", "--host", host, "--port", String(port)],
    }),
  },
];
