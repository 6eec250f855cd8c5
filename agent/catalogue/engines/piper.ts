import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "piper",
  name: "Piper",
  kind: "speech",
  ports: [5000, 10200],
  names: ["piper", "piper-tts"],
  runsOn: ["python"],
  commands: ["-m (?:wyoming_)?piper(?:\\.http_server)?\\b", "(?:^|/)piper .*--model \\S+\\.onnx"],
  libraries: ["/libpiper_phonemize", "/piper/espeakbridge[^/]*\\.(?:so|pyd)$"],
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
          "code: piper-tts 1.8.0 (PyPI) http_server.py (GET /, GET /voices) and a voice configuration from the same project",
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
      {
        source: "recorded from piper-tts 1.8.0 (python -m piper.http_server) with a voice of random weights",
        answers: {
          "/": {
            headers: { server: "Werkzeug/3.1.9 Python/3.12.1" },
            body: '<!DOCTYPE html>\n<html lang="en">\n<head>\n    <meta charset="UTF-8">\n    <title>Piper Web Server</title>\n    <style type="text/css">\n      body {\n          margin: auto;\n          max-width: 90%;\n      }\n\n      #textInput {\n          width: 1',
          },
          "/voices": {
            headers: { server: "Werkzeug/3.1.9 Python/3.12.1" },
            body: {
              "en_US-tiny-low": {
                audio: { quality: "low", sample_rate: 16000 },
                dataset: "tiny",
                espeak: { voice: "en-us" },
                inference: { length_scale: 1, noise_scale: 0.667, noise_w: 0.8 },
                language: { code: "en_US" },
                num_speakers: 1,
                num_symbols: 256,
                phoneme_id_map: { " ": [3], $: [2], "^": [1], _: [0] },
                phoneme_map: {},
                phoneme_type: "espeak",
                piper_version: "1.0.0",
                speaker_id_map: {},
              },
            },
          },
          "/info": {
            headers: { server: "Werkzeug/3.1.9 Python/3.12.1" },
            body: { last: null, voice: { language: "en-us", name: "en_US-tiny-low", num_speakers: 1 } },
          },
        },
        process: {
          executable: "/usr/bin/python3.12",
          argv: [
            "/venv/bin/python",
            "-m",
            "piper.http_server",
            "-m",
            "en_US-tiny-low",
            "--data-dir",
            ".",
            "--host",
            "127.0.0.1",
            "--port",
            "21134",
          ],
        },
      },
      {
        source: "code: piper-tts 1.8.0 (PyPI) piper/__main__.py, espeakbridge",
        process: {
          executable: "/venv/bin/piper",
          argv: ["/venv/bin/piper", "--model", "/m/en_US-lessac-medium.onnx"],
          libraries: ["/venv/lib/python3.11/site-packages/piper/espeakbridge.so"],
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
