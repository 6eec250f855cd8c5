import type { CatalogEntry } from "../entry.ts";

const entry: CatalogEntry = {
  id: "sillytavern",
  name: "SillyTavern",
  kind: "ui",
  ports: [8000],
  names: ["sillytavern"],
  runsOn: ["node"],
  commands: ["/SillyTavern[^/ ]*/server\\.js"],
  traits: [
    {
      path: "/version",
      json: { agent: { matches: "^SillyTavern:" } },
      weight: "identity",
      says: "its version document names SillyTavern",
    },
    {
      path: "/",
      body: "<title>[^<]*SillyTavern",
      weight: "identity",
      says: "the page is titled SillyTavern",
    },
  ],
  version: [{ path: "/version", at: "pkgVersion" }],
  sources: ["https://docs.sillytavern.app/"],
  fixtures: {
    positive: [
      {
        source: "recorded from SillyTavern 1.19.0",
        answers: {
          "/": { body: "<!DOCTYPE html>\n<html>\n\n<head>\n    <title>SillyTavern</title>" },
          "/version": {
            body: {
              agent: "SillyTavern:1.19.0:Cohee#1207",
              pkgVersion: "1.19.0",
              gitRevision: null,
              gitBranch: null,
              commitDate: null,
              isLatest: true,
            },
          },
        },
      },
      {
        source: "documented: SillyTavern/SillyTavern src/util.js (getVersion) and public/index.html",
        answers: {
          "/": { body: "<!doctype html><html><head><title>SillyTavern</title></head><body></body></html>" },
          "/version": {
            body: {
              agent: "SillyTavern:1.13.5:Cohee#1207",
              pkgVersion: "1.13.5",
              gitRevision: null,
              gitBranch: null,
            },
          },
        },
      },
      {
        source: "code: SillyTavern/SillyTavern 1.12.6 server.js",
        process: {
          executable: "/usr/bin/node",
          argv: ["node", "/home/ada/SillyTavern/server.js"],
        },
      },
    ],
    negative: [
      {
        source: "made up: a version response of another service",
        answers: { "/version": { body: { version: "1.13.5" } } },
      },
    ],
  },
};

export default entry;
