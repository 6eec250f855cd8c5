import type { CatalogEntry } from "../entry.ts";
import aider from "./aider.ts";
import amazonQKiro from "./amazon-q-kiro.ts";
import anythingllm from "./anythingllm.ts";
import aphrodite from "./aphrodite.ts";
import astrbot from "./astrbot.ts";
import autogenStudio from "./autogen-studio.ts";
import automatic1111 from "./automatic1111.ts";
import backyardAi from "./backyard-ai.ts";
import basetenTruss from "./baseten-truss.ts";
import bentoml from "./bentoml.ts";
import bifrost from "./bifrost.ts";
import chainlit from "./chainlit.ts";
import chatgptDesktop from "./chatgpt-desktop.ts";
import chatrtx from "./chatrtx.ts";
import cherryStudio from "./cherry-studio.ts";
import chroma from "./chroma.ts";
import claudeCode from "./claude-code.ts";
import claudeCodeRouter from "./claude-code-router.ts";
import claudeDesktop from "./claude-desktop.ts";
import clineRoo from "./cline-roo.ts";
import codexCli from "./codex-cli.ts";
import comfyui from "./comfyui.ts";
import continueDev from "./continue.ts";
import cortexCpp from "./cortex-cpp.ts";
import cursor from "./cursor.ts";
import deepspeedMii from "./deepspeed-mii.ts";
import dify from "./dify.ts";
import distributedLlama from "./distributed-llama.ts";
import dockerModelRunner from "./docker-model-runner.ts";
import envoyAiGateway from "./envoy-ai-gateway.ts";
import exo from "./exo.ts";
import fastchat from "./fastchat.ts";
import fastflowlm from "./fastflowlm.ts";
import flowise from "./flowise.ts";
import fooocus from "./fooocus.ts";
import foundryLocal from "./foundry-local.ts";
import geminiCli from "./gemini-cli.ts";
import githubCopilot from "./github-copilot.ts";
import goose from "./goose.ts";
import gptSovits from "./gpt-sovits.ts";
import gpt4all from "./gpt4all.ts";
import gradio from "./gradio.ts";
import h2ogpt from "./h2ogpt.ts";
import hayhooks from "./hayhooks.ts";
import helicone from "./helicone.ts";
import hermes from "./hermes.ts";
import hfChatUi from "./hf-chat-ui.ts";
import infinity from "./infinity.ts";
import invokeai from "./invokeai.ts";
import jan from "./jan.ts";
import jupyterAi from "./jupyter-ai.ts";
import khoj from "./khoj.ts";
import kimiCode from "./kimi-code.ts";
import koboldcpp from "./koboldcpp.ts";
import kokoroFastapi from "./kokoro-fastapi.ts";
import kserve from "./kserve.ts";
import ktransformers from "./ktransformers.ts";
import langflow from "./langflow.ts";
import lemonade from "./lemonade.ts";
import letta from "./letta.ts";
import librechat from "./librechat.ts";
import lightrag from "./lightrag.ts";
import litellm from "./litellm.ts";
import litertLm from "./litert-lm.ts";
import llamaCpp from "./llama-cpp.ts";
import llamaCppPython from "./llama-cpp-python.ts";
import llamaSwap from "./llama-swap.ts";
import llamafile from "./llamafile.ts";
import lmStudio from "./lm-studio.ts";
import lmdeploy from "./lmdeploy.ts";
import lobehub from "./lobehub.ts";
import localai from "./localai.ts";
import lollms from "./lollms.ts";
import mcpHttp from "./mcp-http.ts";
import mcpStdio from "./mcp-stdio.ts";
import milvus from "./milvus.ts";
import milvusLite from "./milvus-lite.ts";
import mistralRs from "./mistral-rs.ts";
import mlcLlm from "./mlc-llm.ts";
import mlflow from "./mlflow.ts";
import mlserver from "./mlserver.ts";
import mlxLm from "./mlx-lm.ts";
import mlxVlm from "./mlx-vlm.ts";
import msty from "./msty.ts";
import n8n from "./n8n.ts";
import nexa from "./nexa.ts";
import nextchat from "./nextchat.ts";
import nvidiaDynamo from "./nvidia-dynamo.ts";
import nvidiaNim from "./nvidia-nim.ts";
import ollama from "./ollama.ts";
import omniroute from "./omniroute.ts";
import oneApi from "./one-api.ts";
import onyx from "./onyx.ts";
import openWebui from "./open-webui.ts";
import openclaw from "./openclaw.ts";
import opencode from "./opencode.ts";
import openhands from "./openhands.ts";
import openvinoModelServer from "./openvino-model-server.ts";
import optillm from "./optillm.ts";
import osaurus from "./osaurus.ts";
import petals from "./petals.ts";
import pinokio from "./pinokio.ts";
import piper from "./piper.ts";
import portkey from "./portkey.ts";
import powerinfer from "./powerinfer.ts";
import privategpt from "./privategpt.ts";
import qdrant from "./qdrant.ts";
import quivr from "./quivr.ts";
import qwenCode from "./qwen-code.ts";
import ragflow from "./ragflow.ts";
import ramalama from "./ramalama.ts";
import rayServe from "./ray-serve.ts";
import refact from "./refact.ts";
import rvc from "./rvc.ts";
import sglang from "./sglang.ts";
import sillytavern from "./sillytavern.ts";
import speaches from "./speaches.ts";
import stableDiffusionCpp from "./stable-diffusion-cpp.ts";
import swarmui from "./swarmui.ts";
import tabby from "./tabby.ts";
import tabbyapi from "./tabbyapi.ts";
import tei from "./tei.ts";
import tensorflowServing from "./tensorflow-serving.ts";
import tensorrtLlm from "./tensorrt-llm.ts";
import tensorzero from "./tensorzero.ts";
import textGenerationWebui from "./text-generation-webui.ts";
import tgi from "./tgi.ts";
import torchserve from "./torchserve.ts";
import transformersServe from "./transformers-serve.ts";
import triton from "./triton.ts";
import vllm from "./vllm.ts";
import weaviate from "./weaviate.ts";
import whisperAsr from "./whisper-asr.ts";
import whisperCpp from "./whisper-cpp.ts";
import windsurf from "./windsurf.ts";
import xinference from "./xinference.ts";
import xtts from "./xtts.ts";

/** Version of the compiled-in catalogue. Every heartbeat contains it. */
export const catalogueVersion = "2026.12.01.1";

/** All products in this directory. A test compares this list with the files. */
export const catalogue: readonly CatalogEntry[] = [
  aider,
  amazonQKiro,
  anythingllm,
  aphrodite,
  astrbot,
  autogenStudio,
  automatic1111,
  backyardAi,
  basetenTruss,
  bentoml,
  bifrost,
  chainlit,
  chatgptDesktop,
  chatrtx,
  cherryStudio,
  chroma,
  claudeCode,
  claudeCodeRouter,
  claudeDesktop,
  clineRoo,
  codexCli,
  comfyui,
  continueDev,
  cortexCpp,
  cursor,
  deepspeedMii,
  dify,
  distributedLlama,
  dockerModelRunner,
  envoyAiGateway,
  exo,
  fastchat,
  fastflowlm,
  flowise,
  fooocus,
  foundryLocal,
  geminiCli,
  githubCopilot,
  goose,
  gptSovits,
  gpt4all,
  gradio,
  h2ogpt,
  hayhooks,
  helicone,
  hermes,
  hfChatUi,
  infinity,
  invokeai,
  jan,
  jupyterAi,
  khoj,
  kimiCode,
  koboldcpp,
  kokoroFastapi,
  kserve,
  ktransformers,
  langflow,
  lemonade,
  letta,
  librechat,
  lightrag,
  litellm,
  litertLm,
  llamaCpp,
  llamaCppPython,
  llamaSwap,
  llamafile,
  lmStudio,
  lmdeploy,
  lobehub,
  localai,
  lollms,
  mcpHttp,
  mcpStdio,
  milvus,
  milvusLite,
  mistralRs,
  mlcLlm,
  mlflow,
  mlserver,
  mlxLm,
  mlxVlm,
  msty,
  n8n,
  nexa,
  nextchat,
  nvidiaDynamo,
  nvidiaNim,
  ollama,
  omniroute,
  oneApi,
  onyx,
  openWebui,
  openclaw,
  opencode,
  openhands,
  openvinoModelServer,
  optillm,
  osaurus,
  petals,
  pinokio,
  piper,
  portkey,
  powerinfer,
  privategpt,
  qdrant,
  quivr,
  qwenCode,
  ragflow,
  ramalama,
  rayServe,
  refact,
  rvc,
  sglang,
  sillytavern,
  speaches,
  stableDiffusionCpp,
  swarmui,
  tabby,
  tabbyapi,
  tei,
  tensorflowServing,
  tensorrtLlm,
  tensorzero,
  textGenerationWebui,
  tgi,
  torchserve,
  transformersServe,
  triton,
  vllm,
  weaviate,
  whisperAsr,
  whisperCpp,
  windsurf,
  xinference,
  xtts,
];
