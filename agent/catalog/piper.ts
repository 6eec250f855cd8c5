import type { CatalogEntry } from "./entry.ts";

const entry: CatalogEntry = {
  id: "piper",
  name: "Piper",
  kind: "speech",
  ports: [5000, 10200],
  names: ["piper", "piper-tts"],
  runsOn: ["python"],
  commands: ["-m (?:wyoming_)?piper(?:\\.http_server)?\\b", "(?:^|/)piper .*--model \\S+\\.onnx"],
  libraries: ["/libpiper_phonemize"],
  traits: [
    {
      path: "/",
      body: "<title>Piper Web Server</title>",
      weight: "identity",
      says: "the page is titled Piper Web Server",
    },
    { path: "/voices", body: '"piper_version"', weight: "strong", says: "its list of Piper voices" },
  ],
  sources: ["https://github.com/OHF-Voice/piper1-gpl"],
  fixtures: {
    positive: [
      {
        source:
          "code: piper-tts 1.8.0 (PyPI) http_server.py (GET /, GET /voices) and a voice configuration of that project",
        answers: {
          "/": { body: "<!DOCTYPE html>\n<html><head><title>Piper Web Server</title>" },
          "/voices": {
            body: {
              "en_US-lessac-medium": {
                audio: { sample_rate: 22050 },
                espeak: { voice: "en-us" },
                num_symbols: 256,
                piper_version: "1.0.0",
                inference: { noise_scale: 0.667 },
              },
            },
          },
        },
      },
      {
        source: "code: piper-tts 1.8.0 (PyPI) http_server.py",
        process: {
          executable: "/usr/bin/python3.11",
          argv: ["python3", "-m", "piper.http_server", "--model", "en_US-lessac-medium"],
        },
      },
    ],
    negative: [
      {
        source: "documented: Kokoro-FastAPI lists voices as names",
        answers: { "/voices": { body: { voices: ["af_bella"] } } },
      },
      {
        source: "documented: GNOME has a mouse configuration tool of that name",
        process: { executable: "/usr/bin/piper", argv: ["piper"] },
      },
    ],
  },
};

export default entry;
