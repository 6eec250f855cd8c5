import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "astrbot",
  name: "AstrBot",
  kind: "agent",
  ports: [6185],
  names: ["astrbot"],
  runsOn: ["python"],
  commands: ["/AstrBot[^/ ]*/main\\.py"],
  traits: [{ path: "/", body: "<title>AstrBot", weight: "identity", says: "the page is titled AstrBot" }],
  sources: ["https://astrbot.app/"],
  fixtures: {
    positive: [
      {
        source: "code: AstrBot 4.29.3 (PyPI) dashboard/dist/index.html",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>AstrBot Dashboard</title></head><body></body></html>",
          },
        },
      },
      {
        source: "recorded from AstrBot 4.29.3 (astrbot run); its API asks for a sign-in",
        answers: {
          "/": {
            headers: { server: "hypercorn-h11" },
            body: '<!doctype html>\n<html lang="zh-CN">\n  <head>\n    <meta charset="UTF-8" />\n    <link rel="icon" href="/favicon.svg" />\n    <meta name="viewport" content="width=device-width, initial-scale=1.0, maximum-scale=1.0, user-scalable=no" />\n    <meta name="keywords" content="AstrBot Soulter" />\n    <meta name="description" content="AstrBot Dashboard" />\n    <meta name="robots" content="noindex, nofollow" />\n    <title>AstrBot Dashboard</title>\n    <script type="module" crossorigin src="/assets/index-BHAfzyoV.js"></script>\n    <link rel="stylesheet" crossorigin href="/assets/index-CdmaIaXh.css">\n    <st',
          },
          "/api/version": {
            status: 401,
            headers: { server: "hypercorn-h11" },
            body: { status: "error", message: "未授权" },
          },
          "/api/status": {
            status: 401,
            headers: { server: "hypercorn-h11" },
            body: { status: "error", message: "未授权" },
          },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/venv/bin/astrbot", "run"],
        },
      },
      {
        source: "code: AstrBotDevs/AstrBot v4.27.4 main.py",
        process: {
          executable: "/usr/bin/python3.12",
          argv: ["/venv/bin/python", "/opt/AstrBot/main.py"],
        },
      },
    ],
    negative: [
      {
        source: "made up: an ordinary page",
        answers: {
          "/": {
            body: "<!doctype html><html><head><title>My application</title></head><body></body></html>",
          },
        },
      },
    ],
  },
};

export default entry;
