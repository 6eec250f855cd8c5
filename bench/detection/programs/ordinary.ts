import type { Program } from "../program.ts";

/* Servers without AI. The agent must report none of them. */

const debian = (...packages: string[]) => ({ registry: "debian", packages }) as const;

export const ORDINARY: readonly Program[] = [
  {
    name: "nginx",
    source: debian("nginx-light"),
    start: ({ file, write, home, host, port }) => ({
      command: [
        file("usr/sbin/nginx"),
        "-p",
        home,
        "-e",
        `${home}/error.log`,
        "-c",
        write(
          "nginx.conf",
          `daemon off; pid ${home}/nginx.pid; events {} http { access_log off; client_body_temp_path ${home}/b; proxy_temp_path ${home}/p; fastcgi_temp_path ${home}/f; uwsgi_temp_path ${home}/u; scgi_temp_path ${home}/s; server { listen ${host}:${port}; root ${home}; autoindex on; } }`,
        ),
      ],
    }),
  },
  {
    name: "postgresql",
    source: debian("postgresql-15"),
    nobody: true,
    start: ({ file, home, host, port }) => ({
      command: [
        "sh",
        "-c",
        'B=$1; D=$2; "$B/initdb" -D "$D" -A trust >/dev/null && exec "$B/postgres" -D "$D" -h "$3" -p "$4" -k "$D"',
        "sh",
        file("usr/lib/postgresql/15/bin"),
        `${home}/data`,
        host,
        String(port),
      ],
    }),
  },
  {
    name: "redis",
    source: debian("redis-server"),
    start: ({ file, home, host, port }) => ({
      command: [file("usr/bin/redis-server"), "--bind", host, "--port", String(port), "--dir", home],
    }),
  },
  {
    name: "memcached",
    source: debian("memcached"),
    start: ({ file, host, port }) => ({
      command: [file("usr/bin/memcached"), "-u", "nobody", "-l", host, "-p", String(port)],
    }),
  },
  {
    name: "haproxy",
    source: debian("haproxy"),
    start: ({ file, write, host, port, spare }) => ({
      command: [
        file("usr/sbin/haproxy"),
        "-f",
        write(
          "haproxy.cfg",
          `defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\nfrontend web\n  bind ${host}:${port}\n  stats enable\n  stats uri /\n  default_backend none\nbackend none\n  server one ${host}:${spare[0]}\n`,
        ),
      ],
    }),
  },
  {
    name: "lighttpd",
    source: debian("lighttpd"),
    start: ({ file, write, home, host, port }) => ({
      command: [
        file("usr/sbin/lighttpd"),
        "-D",
        "-m",
        file("usr/lib/lighttpd"),
        "-f",
        write(
          "lighttpd.conf",
          `server.document-root = "${home}"\nserver.bind = "${host}"\nserver.port = ${port}\nserver.modules += ("mod_dirlisting")\ndir-listing.activate = "enable"\n`,
        ),
      ],
    }),
  },
  {
    name: "apache",
    source: debian("apache2-bin"),
    start: ({ file, write, home, host, port }) => ({
      command: [
        file("usr/sbin/apache2"),
        "-X",
        "-d",
        home,
        "-f",
        write(
          "apache.conf",
          ["mpm_event", "authz_core", "dir", "autoindex", "status"]
            .map((one) => `LoadModule ${one}_module ${file(`usr/lib/apache2/modules/mod_${one}.so`)}\n`)
            .join("") +
            `ServerName lab\nListen ${host}:${port}\nPidFile ${home}/apache.pid\nErrorLog ${home}/error.log\nDocumentRoot ${home}\nUser nobody\nGroup nogroup\n<Location /server-status>\nSetHandler server-status\n</Location>\n`,
        ),
      ],
    }),
  },
  {
    name: "caddy",
    source: debian("caddy"),
    start: ({ file, home, host, port }) => ({
      command: [
        file("usr/bin/caddy"),
        "file-server",
        "--browse",
        "--root",
        home,
        "--listen",
        `${host}:${port}`,
      ],
    }),
  },
  {
    name: "prometheus",
    source: debian("prometheus"),
    start: ({ file, write, home, host, port }) => ({
      command: [
        file("usr/bin/prometheus"),
        `--config.file=${write("prometheus.yml", "scrape_configs: []\n")}`,
        `--storage.tsdb.path=${home}/tsdb`,
        `--web.listen-address=${host}:${port}`,
      ],
    }),
  },
  {
    name: "node-exporter",
    source: debian("prometheus-node-exporter"),
    start: ({ file, host, port }) => ({
      command: [file("usr/bin/prometheus-node-exporter"), `--web.listen-address=${host}:${port}`],
    }),
  },
  {
    name: "docker-registry",
    source: debian("docker-registry"),
    start: ({ file, write, home, host, port }) => ({
      command: [
        file("usr/bin/docker-registry"),
        "serve",
        write(
          "registry.yml",
          `version: 0.1\nstorage: {filesystem: {rootdirectory: ${home}/registry}}\nhttp: {addr: "${host}:${port}"}\n`,
        ),
      ],
    }),
  },
  {
    name: "etcd",
    source: debian("etcd-server"),
    start: ({ file, home, host, port, spare }) => ({
      command: [
        file("usr/bin/etcd"),
        "--data-dir",
        `${home}/etcd`,
        ...["--listen-client-urls", `http://${host}:${port}`],
        ...["--advertise-client-urls", `http://${host}:${port}`],
        ...["--listen-peer-urls", `http://${host}:${spare[0]}`],
        ...["--initial-advertise-peer-urls", `http://${host}:${spare[0]}`],
        ...["--initial-cluster", `default=http://${host}:${spare[0]}`],
      ],
    }),
  },
  {
    name: "mosquitto",
    source: debian("mosquitto"),
    start: ({ file, write, host, port }) => ({
      command: [
        file("usr/sbin/mosquitto"),
        "-c",
        write("mosquitto.conf", `listener ${port} ${host}\nallow_anonymous true\n`),
      ],
    }),
  },
  {
    name: "nats",
    source: debian("nats-server"),
    start: ({ file, host, port, spare }) => ({
      command: [
        file("usr/sbin/nats-server"),
        "-a",
        host,
        "-p",
        String(spare[0]),
        "--http_port",
        String(port),
      ],
    }),
  },
  {
    name: "influxdb",
    source: debian("influxdb"),
    start: ({ file, write, home, host, port, spare }) => ({
      command: [
        file("usr/bin/influxd"),
        "-config",
        write(
          "influxdb.conf",
          `reporting-disabled = true\nbind-address = "${host}:${spare[0]}"\n[meta]\ndir = "${home}/meta"\n[data]\ndir = "${home}/data"\nwal-dir = "${home}/wal"\n[http]\nbind-address = "${host}:${port}"\n`,
        ),
      ],
    }),
  },
  {
    name: "icecast",
    source: debian("icecast2"),
    nobody: true,
    start: ({ file, write, home, host, port }) => ({
      command: [
        file("usr/bin/icecast2"),
        "-c",
        write(
          "icecast.xml",
          `<icecast><hostname>lab</hostname><authentication><source-password>lab</source-password><admin-password>lab</admin-password></authentication><listen-socket><port>${port}</port><bind-address>${host}</bind-address></listen-socket><paths><logdir>${home}</logdir><webroot>${file("usr/share/icecast2/web")}</webroot><adminroot>${file("usr/share/icecast2/admin")}</adminroot></paths></icecast>`,
        ),
      ],
    }),
  },
  {
    name: "transmission",
    source: debian("transmission-daemon"),
    start: ({ file, home, host, port }) => ({
      command: [
        file("usr/bin/transmission-daemon"),
        "-f",
        ...["-g", `${home}/transmission`, "--rpc-bind-address", host, "-p", String(port)],
      ],
    }),
  },
  {
    name: "http-server",
    source: { registry: "npm", packages: ["http-server@14.1.1"] },
    start: ({ bin, home, host, port }) => ({
      command: [bin("http-server"), home, "-a", host, "-p", String(port)],
    }),
  },
  {
    name: "vite",
    source: { registry: "npm", packages: ["vite@7.3.8"] },
    start: ({ bin, write, home, host, port }) => {
      write("index.html", "<!doctype html><title>Notes</title>");
      return { command: [bin("vite"), home, "--host", host, "--port", String(port)] };
    },
  },
  {
    name: "json-server",
    source: { registry: "npm", packages: ["json-server@0.17.4"] },
    start: ({ bin, write, host, port }) => ({
      command: [
        bin("json-server"),
        write("db.json", JSON.stringify({ models: [{ id: "dress-1", price: 20 }], posts: [] })),
        ...["--host", host, "--port", String(port)],
      ],
    }),
  },
  {
    name: "express",
    source: { registry: "npm", packages: ["express@5.3.0"] },
    start: ({ app, file, host, port }) => ({
      command: ["node", app("express_shop.cjs"), file("node_modules/express"), host, String(port)],
    }),
  },
  {
    name: "fastapi",
    source: { registry: "pypi", packages: ["fastapi==0.163.2", "uvicorn==0.54.0"] },
    start: ({ bin, app, host, port }) => ({
      command: [bin("uvicorn"), "fastapi_shop:app", "--host", host, "--port", String(port)],
      cwd: app("."),
    }),
  },
  {
    name: "flask",
    source: { registry: "pypi", packages: ["flask==3.1.3"] },
    start: ({ bin, app, host, port }) => ({
      command: [bin("flask"), "--app", app("flask_shop.py"), "run", "--host", host, "--port", String(port)],
    }),
  },
  {
    name: "django",
    source: { registry: "pypi", packages: ["django==5.2.19"] },
    start: ({ bin, home, host, port }) => ({
      command: [
        "sh",
        "-c",
        '"$1" startproject shop "$2" && exec "$3" "$2/manage.py" runserver --noreload "$4"',
        "sh",
        bin("django-admin"),
        home,
        bin("python"),
        `${host}:${port}`,
      ],
    }),
  },
  {
    name: "jupyterlab",
    source: { registry: "pypi", packages: ["jupyterlab==4.6.6"] },
    start: ({ bin, host, port }) => ({
      command: [bin("jupyter"), "lab", "--allow-root", "--no-browser", `--ip=${host}`, `--port=${port}`],
    }),
  },
  {
    name: "streamlit",
    source: { registry: "pypi", packages: ["streamlit==1.67.0"] },
    start: ({ bin, host, port }) => ({
      command: [
        ...[bin("streamlit"), "hello", "--server.headless", "true", "--browser.gatherUsageStats", "false"],
        ...["--server.address", host, "--server.port", String(port)],
      ],
    }),
  },
  {
    name: "locust",
    source: { registry: "pypi", packages: ["locust==2.47.0"] },
    start: ({ bin, app, host, port }) => ({
      command: [bin("locust"), "-f", app("locust_file.py"), "--web-host", host, "--web-port", String(port)],
    }),
  },
  {
    name: "python-http",
    source: { registry: "none" },
    start: ({ home, host, port }) => ({
      command: ["python3", "-m", "http.server", "--bind", host, "--directory", home, String(port)],
    }),
  },
];
