import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "petals",
  name: "Petals",
  kind: "inference-engine",
  ports: [31337],
  names: [],
  runsOn: ["python"],
  commands: ["-m petals\\.cli\\.run_(?:server|dht)\\b"],
  traits: [
    {
      path: "/",
      body: "<title>Petals (?:&ndash;|–) Decentralized platform for running large language models</title>",
      weight: "identity",
      says: "the page is that of the Petals chat",
    },
  ],
  directories: [{ path: "~/.cache/huggingface/hub", layout: "huggingface" }],
  sources: ["https://github.com/bigscience-workshop/petals"],
  fixtures: {
    positive: [
      {
        source: "code: petals-infra/chat.petals.dev 9e2faf0 templates/index.html",
        answers: {
          "/": {
            body: '<!DOCTYPE html>\n<html lang="en">\n<head>\n    <title>Petals &ndash; Decentralized platform for running large language models</title>',
          },
        },
      },
      {
        source: "code: petals 2.2.0 (PyPI) petals/cli/run_server.py",
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["python3", "-m", "petals.cli.run_server", "petals-team/StableBeluga2"],
        },
      },
    ],
    negative: [
      {
        source: "made up: the page of a florist",
        answers: {
          "/": { body: "<!doctype html><html><head><title>Petals – Flowers</title></head></html>" },
        },
      },
      {
        source: "made up: any Python program",
        process: { executable: "/usr/bin/python3.12", argv: ["python3", "app.py"] },
      },
    ],
  },
};

export default entry;
