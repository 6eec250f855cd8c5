import type { Fixture } from "../../../../agent/catalogue/entry.ts";
import { everywhere, html } from "./catalog-ordinary-answers.ts";

/** Test fixtures: frameworks, databases and services of an ordinary company. They run no AI. */
export const SERVICES: readonly (Fixture & { name: string })[] = [
  {
    name: "Grafana",
    source: "documented: grafana.com/docs, GET /api/health",
    answers: {
      "/": { status: 302, headers: { location: "/login" }, body: '<a href="/login">Found</a>.' },
      "/api/health": { body: { commit: "abc", database: "ok", version: "12.0.0" } },
      "/metrics": { body: "# HELP grafana_info x\ngrafana_info 1\n" },
    },
  },
  {
    name: "Django, as it is created",
    source: "recorded from Django 5.2.19 (runserver)",
    answers: {
      "/": {
        headers: { server: "WSGIServer/0.2 CPython/3.11.7" },
        body: html("The install worked successfully! Congratulations!"),
      },
      "/v1/models": {
        status: 404,
        headers: { server: "WSGIServer/0.2 CPython/3.11.7" },
        body: html("Page not found at /v1/models"),
      },
    },
  },
  {
    name: "Flask",
    source: "recorded from Flask 3.1.3 with a page of its own",
    answers: {
      "/": { headers: { server: "Werkzeug/3.1.9 Python/3.11.7" }, body: "<h1>Hello</h1>" },
      "/v1/models": {
        status: 404,
        headers: { server: "Werkzeug/3.1.9 Python/3.11.7" },
        body: "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n",
      },
    },
  },
  {
    name: "aiohttp",
    source: "recorded from aiohttp 3.14.5 with a health document",
    answers: {
      "/": { status: 404, headers: { server: "Python/3.11 aiohttp/3.14.5" }, body: "404: Not Found" },
      "/health": { headers: { server: "Python/3.11 aiohttp/3.14.5" }, body: { status: "ok" } },
    },
  },
  {
    name: "Python package index",
    source: "recorded from pypiserver 2.4.2, which leads every path to a package of that name",
    answers: {
      ...everywhere({ status: 303, headers: { server: "TwistedWeb/26.10.0", location: "/simple/x/" } }),
      "/": { headers: { server: "TwistedWeb/26.10.0" }, body: html("Welcome to pypiserver!") },
    },
  },
  {
    name: "Twisted Web",
    source: "recorded from Twisted 26.10.0 (twistd web) over an empty folder",
    answers: { "/": { headers: { server: "TwistedWeb/26.10.0" }, body: html("Directory listing for /") } },
  },
  {
    name: "Python's http.server",
    source: "recorded from Python 3.11.7 over an empty folder",
    answers: {
      "/": { headers: { server: "SimpleHTTP/0.6 Python/3.11.7" }, body: html("Directory listing for /") },
    },
  },
  {
    name: "service with the version and health paths of MLflow",
    source: "made up: a version and a health path without a page",
    answers: { "/version": { body: "3.17.2" }, "/health": { body: "OK" }, "/ping": { body: "OK" } },
  },
  {
    name: "Gitea",
    source: "documented: docs.gitea.com/api, GET /api/v1/version",
    answers: {
      "/": {
        headers: { "content-type": "text/html; charset=UTF-8" },
        body: html("Gitea: Git with a cup of tea"),
      },
      "/api/v1/version": { body: { version: "1.24.6" } },
      "/manifest.json": { status: 404, body: "Not found." },
      "/metrics": { body: "# HELP gitea_accesses Number of Accesses\ngitea_accesses 0\n" },
      "/v1/models": { status: 404, body: "Not found." },
    },
  },
  {
    name: "RabbitMQ management",
    source: "documented: rabbitmq.com/docs/management, without credentials",
    answers: {
      "/": { headers: { server: "Cowboy" }, body: html("RabbitMQ Management") },
      "/api/version": {
        status: 404,
        headers: { server: "Cowboy" },
        body: { error: "Object Not Found", reason: "Not Found" },
      },
      "/api/config": {
        status: 401,
        headers: { "www-authenticate": 'Basic realm="RabbitMQ Management"' },
        body: { error: "not_authorised", reason: "Login failed" },
      },
      "/metrics": { body: "# TYPE rabbitmq_build_info untyped\nrabbitmq_build_info 1\n" },
    },
  },
  {
    name: "etcd",
    source: "documented: etcd.io/docs, GET /version and /health",
    answers: {
      "/": { status: 404, body: "404 page not found\n" },
      "/version": { body: { etcdserver: "3.6.4", etcdcluster: "3.6.0", storage: "3.6.0" } },
      "/health": { body: { health: "true", reason: "" } },
      "/metrics": { body: "# HELP etcd_cluster_version Which version is running.\n" },
    },
  },
  {
    name: "Consul",
    source: "documented: developer.hashicorp.com/consul/api-docs, with its pages",
    answers: {
      "/": { status: 301, headers: { location: "/ui/" } },
      "/ui/": { body: html("Consul") },
      "/v1/health/": { status: 404, body: "" },
      "/v1/meta": { status: 404, body: "Invalid URL path: not a recognized HTTP API endpoint" },
    },
  },
  {
    name: "Vault",
    source: "documented: developer.hashicorp.com/vault/api-docs, without a token",
    answers: {
      "/": { status: 307, headers: { location: "/ui/" } },
      "/ui/": { body: html("Vault") },
      "/v1/models": { status: 403, body: { errors: ["permission denied"] } },
      "/v1/meta": { status: 403, body: { errors: ["permission denied"] } },
      "/v1/metadata": { status: 403, body: { errors: ["permission denied"] } },
    },
  },
  {
    name: "InfluxDB",
    source: "documented: docs.influxdata.com/influxdb/v2, GET /health",
    answers: {
      "/": { body: html("InfluxDB") },
      "/health": {
        body: {
          name: "influxdb",
          message: "ready for queries and writes",
          status: "pass",
          checks: [],
          version: "v2.7.12",
        },
      },
      "/metrics": { body: "# HELP boltdb_reads_total Total number of boltdb reads\n" },
    },
  },
  {
    name: "CouchDB",
    source: "documented: docs.couchdb.org, GET /",
    answers: {
      "/": {
        headers: { server: "CouchDB/3.5.0 (Erlang OTP/26)" },
        body: {
          couchdb: "Welcome",
          version: "3.5.0",
          git_sha: "11f002ff6",
          uuid: "a",
          features: [],
          vendor: { name: "The Apache Software Foundation" },
        },
      },
      "/v1/models": { status: 404, body: { error: "not_found", reason: "Database does not exist." } },
      "/apps": { status: 404, body: { error: "not_found", reason: "Database does not exist." } },
    },
  },
  {
    name: "Jenkins",
    source: "documented: jenkins.io/doc/book/using/remote-access-api, without a user",
    answers: everywhere({
      status: 403,
      headers: { "x-jenkins": "2.516.3", "x-hudson": "1.395" },
      body: html("Authentication required"),
    }),
  },
  {
    name: "Spring Boot with its actuator moved to the root",
    source: "documented: docs.spring.io/spring-boot/reference/actuator",
    answers: {
      "/": {
        status: 404,
        body: { timestamp: "2026-11-01T00:00:00Z", status: 404, error: "Not Found", path: "/" },
      },
      "/health": { body: { status: "UP", groups: ["liveness", "readiness"] } },
      "/info": { body: { build: { artifact: "models", version: "1.0.0" }, git: { branch: "main" } } },
      "/metrics": { body: { names: ["jvm.memory.used", "http.server.requests"] } },
      "/models": { body: { _embedded: { models: [] }, _links: { self: { href: "/models" } } } },
    },
  },
  {
    name: "Nextcloud",
    source: "documented: docs.nextcloud.com, behind Apache",
    answers: {
      "/": { status: 302, headers: { server: "Apache/2.4.62 (Debian)", location: "/login" } },
      "/apps": { status: 403, headers: { server: "Apache/2.4.62 (Debian)" }, body: html("403 Forbidden") },
      "/manifest.json": { status: 404, body: html("404 Not Found") },
    },
  },
  {
    name: "Apache Airflow",
    source: "documented: airflow.apache.org/docs, a FastAPI service",
    answers: {
      "/": { headers: { server: "uvicorn" }, body: html("Airflow") },
      "/openapi.json": {
        body: { openapi: "3.1.0", info: { title: "Airflow API", version: "2" }, paths: {} },
      },
      "/health": { body: { metadatabase: { status: "healthy" }, scheduler: { status: "healthy" } } },
    },
  },
  {
    name: "Keycloak",
    source: "documented: keycloak.org/server/health, its management port",
    answers: {
      "/": { body: html("Keycloak Management Interface") },
      "/health": { body: { status: "UP", checks: [] } },
      "/metrics": { body: "# HELP jvm_threads_live_threads The current number\n" },
    },
  },
  {
    name: "Verdaccio, an npm registry",
    source: "documented: verdaccio.org/docs, a package that does not exist",
    answers: {
      ...everywhere({
        status: 404,
        headers: { "x-powered-by": "verdaccio/6.1.6" },
        body: { error: "no such package available" },
      }),
      "/": { headers: { "x-powered-by": "verdaccio/6.1.6" }, body: html("Verdaccio") },
    },
  },
];
