import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noNamespaces } from "../../../../../agent/scan/network/namespaces.ts";
import { createReach } from "../../../../../agent/scan/network/reachable-address.ts";
import {
  formatIpv6,
  parseAddress,
  parseDirectRoutes,
  parseLinkLocal,
  parseLocalAddresses,
  parseTcpTable,
} from "../../../../../agent/scan/network/sockets.ts";
import { linuxHost } from "../../../../../agent/scan/platform/linux.ts";
import {
  parseContainer,
  parsePasswd,
  parseUid,
} from "../../../../../agent/scan/processes/process-identity.ts";
import { inProcessReader } from "../../../../../agent/scan/reader/file-reader.ts";
import { createReads } from "../../../../../agent/scan/reader-process/perform-reads.ts";
import { type Files, realFiles } from "../../../../../agent/scan/system/files.ts";
import { parseStat } from "../../../../../agent/scan/system/linux-process.ts";
import { createMounts, parseMounts } from "../../../../../agent/scan/system/mounts.ts";
import { parseMaps } from "../../../../../agent/scan/system/process-maps.ts";
import { ggufFile, HOLIDAY_PHOTOS } from "../scan-gguf.ts";

// Captured on Linux 6.18 (x86_64).
const STAT =
  "13834 (python3) S 13789 13789 5348 0 -1 4194304 2858 6580 0 0 6 1 4 2 20 0 1 0 285937 17006592 3384 18446744073709551615 94370820935680 94370820936021 140722260429408 0 0 0 65536 16781318 0 1 0 0 17 0 0 0 0 0 0 94370820947376 94370820947992 94371043586048 140722260433101 140722260433152 140722260433152 140722260434895 0\n";
const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     
   0: 0100007F:2CAA 00000000:0000 0A 00000000:00000016 00:00000000 00000000   998        0 26517 23 00000000791361bb 100 0 0 10 0                    
   1: 00000000:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1071 1 0000000045c1fcd5 100 0 0 10 0                      
   2: 0100007F:AA9B 0100007F:89F4 03 00000000:00000000 01:0000005D 00000000     0        0 0 0 00000000d096ce1b                                      
   3: 0100007F:89F4 0100007F:2CAA 01 00000000:00000000 00:00000000 00000000  1000        0 41353 2 00000000fd624138 264 0 0 10 -1                    
   4: 0100007F:9164 0100007F:966F 06 00000000:00000000 03:00000A9D 00000000     0        0 0 3 00000000b83656f4                                      
`;
const MAPS = `55d5e0a00000-55d5e0a01000 r--p 00000000 fe:00 326591                     /usr/bin/python3.11
55d5e0a01000-55d5e0a02000 r-xp 00001000 fe:00 326591                     /usr/bin/python3.11
7f9b21906000-7f9b21908000 r--s 00000000 fe:00 9977893                    /home/ada/my photos/holiday-photos.dat
7f9b21909000-7f9b2190a000 rw-s 00000000 00:01 2048                       /memfd:weights (deleted)
7f9b2190f000-7f9b21911000 rw-p 00000000 00:00 0 
7ffc74565000-7ffc74586000 rw-p 00000000 00:00 0                          [stack]
`;

describe("parseStat()", () => {
  test("reads the fields that a scan uses", () => {
    expect(parseStat(STAT)).toEqual({
      pid: 13834,
      name: "python3",
      state: "S",
      parentPid: 13789,
      kernelThread: false,
      startTicks: 285_937,
      threads: 1,
      virtualBytes: 17_006_592,
      residentPages: 3384,
    });
  });

  test("parses a name with spaces and parentheses", () => {
    const stat = parseStat(STAT.replace("(python3)", "(a) R 1 (b)"));
    expect(stat).toMatchObject({ name: "a) R 1 (b", parentPid: 13_789, startTicks: 285_937 });
  });

  test.each(["", "12", "12 (x", "12 (x) S 1"])("returns nothing for %p", (text) => {
    expect(parseStat(text)).toBeUndefined();
  });
});

describe("parseContainer()", () => {
  const id = "3f4e5a6b7c8d".padEnd(64, "0");
  test.each([
    [`0::/system.slice/docker-${id}.scope`, "docker:3f4e5a6b7c8d"],
    [`12:pids:/docker/${id}\n11:cpu:/docker/${id}`, "docker:3f4e5a6b7c8d"],
    [`0::/user.slice/user-1000.slice/libpod-${id}.scope/container`, "podman:3f4e5a6b7c8d"],
    // Docker on CentOS: share/system/cgroup_test.go of github.com/neuvector/neuvector. Rootless Docker:
    // docs.docker.com.
    [`10:devices:/system.slice/docker-${id}.scope`, "docker:3f4e5a6b7c8d"],
    [`0::/user.slice/user-1000.slice/user@1000.service/user.slice/docker-${id}.scope`, "docker:3f4e5a6b7c8d"],
    // Podman: a pod under systemd, and the cgroupfs driver.
    [`0::/machine.slice/machine-libpod_pod_${id}.slice/libpod-${id}.scope/container`, "podman:3f4e5a6b7c8d"],
    [`9:pids:/libpod_parent/libpod-${id}`, "podman:3f4e5a6b7c8d"],
    [`0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-${id}.scope`, "containerd:3f4e5a6b7c8d"],
    // k3s, and Kubernetes with Docker and with CRI-O: notes/cgroupv1_notes.md of
    // github.com/CJLove/rt-operator.
    [`4:cpu,cpuacct:/kubepods/besteffort/podd0544205-72df/${id}`, "kubernetes:3f4e5a6b7c8d"],
    [`4:cpu,cpuacct:/kubepods.slice/kubepods-pod1.slice/docker-${id}.scope`, "docker:3f4e5a6b7c8d"],
    [`4:cpu,cpuacct:/kubepods.slice/kubepods-pod1.slice/crio-${id}.scope`, "crio:3f4e5a6b7c8d"],
    // containerd with a systemd slice: started by Kubernetes, and started by nerdctl.
    [`0::/system.slice/kubepods-burstable-pod1.slice:cri-containerd:${id}`, "containerd:3f4e5a6b7c8d"],
    [`0::/system.slice/nerdctl-${id}.scope`, "containerd:3f4e5a6b7c8d"],
    ["0::/lxc.payload.web-production-1/init.scope", "lxc:web-production-1"],
    ["7:memory:/lxc/web-1", "lxc:web-1"],
    // The monitor process of a container runs outside the container.
    [`0::/machine.slice/libpod-conmon-${id}.scope`, undefined],
    [`0::/kubepods.slice/kubepods-pod1.slice/crio-conmon-${id}.scope`, undefined],
    ["0::/lxc.monitor.web-1", undefined],
    ["0::/system.slice/docker.service", undefined],
    [`0::/system.slice/docker-${id.slice(0, 63)}.scope`, undefined],
    ["0::/user.slice/user-1000.slice/session-2.scope", undefined],
    ["", undefined],
  ])("%p is %p", (cgroup, container) => {
    expect(parseContainer(cgroup)).toBe(container as string);
  });
});

test("parsePasswd() and parseUid() return the user of a process", () => {
  const users = parsePasswd("root:x:0:0:root:/root:/bin/bash\nada:x:1000:1000::/home/ada:/bin/sh\nbroken\n");
  expect(users.get(parseUid("Name:\tx\nUid:\t1000\t0\t0\t0\n")!)).toEqual({ name: "ada", home: "/home/ada" });
  expect(parseUid("Name:\tx\n")).toBeUndefined();
});

describe("parseTcpTable()", () => {
  test("keeps listening and established sockets and skips all other states", () => {
    expect(parseTcpTable(TCP)).toEqual([
      row("127.0.0.1", 11_434, "0.0.0.0", 0, "listen", 998, "26517"),
      row("0.0.0.0", 2024, "0.0.0.0", 0, "listen", 0, "1071"),
      row("127.0.0.1", 35_316, "127.0.0.1", 11_434, "established", 1000, "41353"),
    ]);
  });

  test("returns nothing for an empty text or another format", () => {
    expect(parseTcpTable("")).toEqual([]);
    expect(parseTcpTable("hello\nworld")).toEqual([]);
  });

  function row(
    localAddress: string,
    localPort: number,
    remoteAddress: string,
    remotePort: number,
    state: "listen" | "established",
    uid: number,
    inode: string,
  ) {
    return { localAddress, localPort, remoteAddress, remotePort, state, uid, inode };
  }
});

test.each([
  ["0100007F", "127.0.0.1"],
  ["00000000", "0.0.0.0"],
  ["00000000000000000000000000000000", "::"],
  ["00000000000000000000000001000000", "::1"],
  ["0000000000000000FFFF00000100007F", "127.0.0.1"],
  ["B80D01200000000067452301EFCDAB89", "2001:db8::123:4567:89ab:cdef"],
])("parseAddress() reads %s as %s", (hex, address) => {
  expect(parseAddress(hex)).toBe(address);
});

test("formatIpv6() shortens the longest run of zeros, and not a single zero (RFC 5952)", () => {
  expect(formatIpv6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1])).toBe("2001:db8:0:1::1");
  expect(formatIpv6([0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1])).toBe("1:0:1:1:1:1:1:1");
});

describe("parseMaps()", () => {
  test("lists each file once, executable if any of its mappings is, and keeps spaces in names", () => {
    expect(parseMaps(MAPS)).toEqual([
      {
        identity: "fe:00 326591",
        path: "/usr/bin/python3.11",
        range: "55d5e0a00000-55d5e0a01000",
        executable: true,
      },
      {
        identity: "fe:00 9977893",
        path: "/home/ada/my photos/holiday-photos.dat",
        range: "7f9b21906000-7f9b21908000",
        executable: false,
      },
      {
        identity: "00:01 2048",
        path: "/memfd:weights (deleted)",
        range: "7f9b21909000-7f9b2190a000",
        executable: false,
      },
    ]);
  });

  test("returns nothing for anonymous memory", () => {
    expect(parseMaps("7f9b2190f000-7f9b21911000 rw-p 00000000 00:00 0 \n")).toEqual([]);
  });
});

describe("createMounts()", () => {
  const OWN = `22 1 254:0 / / rw - ext4 /dev/root rw
23 22 0:21 / /proc rw - proc proc rw,hidepid=invisible
30 22 0:45 / /mnt/nas rw,relatime shared:3 - nfs4 nas:/models rw
31 22 0:46 / /mnt/s3 rw - fuse.rclone remote: rw
33 22 0:48 / /merged rw - overlay overlay rw
34 22 0:49 / /mnt/a\\040b rw - autofs systemd-1 rw
`;
  const OTHER = `90 80 0:60 / / rw - overlay overlay rw,lowerdir=/tmp/fuse
91 90 0:61 / /home/ada rw - fuse.sshfs x rw
92 90 254:0 /x /data rw - ext4 /dev/root rw
93 90 0:62 / /scratch rw - tmpfs tmpfs rw
`;
  const text = (path: string): string => {
    if (path === "/proc/self/mountinfo") return OWN;
    if (path === "/proc/7/mountinfo") return OTHER;
    throw new Error(path);
  };
  const mounts = createMounts({ files: { ...realFiles(), text }, procRoot: "/proc", memoryDevice: "00:01" });

  test("reads the device, the mount point and the options of a mount", () => {
    expect(parseMounts(OWN).at(-1)).toEqual({
      id: 34,
      device: "00:31",
      mountPoint: "/mnt/a b",
      type: "autofs",
      options: "rw",
    });
    expect(mounts.at("/proc")?.options).toBe("rw,hidepid=invisible");
  });

  test("classifies only file systems of the kernel as local, and unknown ones as remote", () => {
    const ofOwn = ["fe:00", "00:15", "00:2d", "00:2e", "00:30", "00:31", "00:01", "00:99"];
    expect(ofOwn.map((device) => mounts.ofDevice(7, device).class)).toEqual([
      "local",
      "kernel",
      "remote",
      "remote",
      "local",
      "remote",
      "local",
      "remote",
    ]);
  });

  test("reads the mount table of the process, whose overlay may be on top of FUSE", () => {
    const ofOther = ["00:3c", "00:3d", "00:3e"].map((device) => mounts.ofDevice(7, device));
    expect(ofOther).toEqual([
      { class: "remote", type: "overlay" },
      { class: "remote", type: "fuse.sshfs" },
      { class: "local", type: "tmpfs" },
    ]);
    expect([91, 92, 93, 94].map((id) => mounts.ofMount(7, id).class)).toEqual([
      "remote",
      "local",
      "local",
      "remote",
    ]);
  });

  test("resolves a path with the mounts of the process", () => {
    expect(mounts.ofPath("/home/ada/model.gguf", 7).type).toBe("fuse.sshfs");
    expect(mounts.ofPath("/home/adam/model.gguf", 7).type).toBe("overlay");
    expect(mounts.ofPath("/data/model.gguf", 7).class).toBe("local");
    expect(mounts.ofPath("/home/ada/model.gguf").class).toBe("local");
    expect(mounts.ofPath("/mnt/nas").class).toBe("remote");
  });
});

test("a container is reachable only through a bridge of this host", () => {
  const trie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 172.17.0.2
        /32 host LOCAL
     |-- 172.17.255.255
        /32 link BROADCAST
`;
  expect(parseLocalAddresses(trie)).toEqual(["127.0.0.1", "172.17.0.2"]);
  const route = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
`;
  expect(parseDirectRoutes(route)).toEqual([
    { interfaceName: "docker0", network: 0xac110000, mask: 0xffff0000 },
  ]);
});

test("parseLinkLocal() returns the interface of a link-local address", () => {
  // Captured in a virtual machine that has a network.
  const table = `fd000000000000000000000000000002 04 40 00 82     eth0
00000000000000000000000000000001 01 80 10 80       lo
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
fe800000000000000000000000000007 05 40 20 80  docker0
fe800000000000000000000000000007 06 40 20 80  virbr0\n`;
  expect(parseLinkLocal(table)).toEqual(
    new Map([
      ["fe80::fc:ff:fe00:1", ["eth0"]],
      ["fe80::7", ["docker0", "virbr0"]],
    ]),
  );
  const files: Files = { ...realFiles(), text: () => table };
  const reach = createReach({ files, procRoot: "/proc", sysRoot: "/sys" });
  expect(reach.own("fe80::fc:ff:fe00:1")).toBe("fe80::fc:ff:fe00:1%eth0");
  // If two interfaces have the same address, the interface is ambiguous.
  expect(reach.own("fe80::7")).toBeUndefined();
  expect(reach.own("fe80::8")).toBeUndefined();
  expect(reach.own("fd00::2")).toBe("fd00::2");
});

describe("linuxHost() on a captured tree", () => {
  const root = mkdtempSync(join(tmpdir(), "collect-proc-"));
  const proc = join(root, "proc");
  const put = (path: string, content: string | Uint8Array) => {
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, content);
  };
  const processes = [
    { pid: 1, name: "systemd", parent: 0 },
    { pid: 500, name: "ollama", parent: 1, sockets: ["26517"] },
    { pid: 600, name: "worker", parent: 500, sockets: ["26517"] },
    { pid: 700, name: "code", parent: 1, sockets: ["41353"] },
  ];
  // Each test gets a fresh copy of the captured files, because some tests modify them.
  beforeEach(() => {
    for (const process of processes) putProcess(process);
    put(weights, ggufFile(HOLIDAY_PHOTOS));
    put(join(proc, "self", "mountinfo"), "22 1 254:0 / / rw - ext4 /dev/root rw\n");
    const { ino } = statSync(weights);
    put(join(proc, "600", "maps"), `7f9b21906000-7f9b21908000 r--s 00000000 fe:00 ${ino} ${weights}\n`);
    put(join(proc, "stat"), "cpu 1\nbtime 1763762400\n");
    put(join(proc, "net", "tcp"), TCP);
    put(join(proc, "net", "tcp6"), "");
    put(join(proc, "net", "route"), "");
    host = newHost(() => performance.now());
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  let host: ReturnType<typeof linuxHost>;
  const weights = join(root, "holiday-photos.dat");
  function putProcess({ pid, name, parent, sockets = [] }: (typeof processes)[number]): void {
    const directory = join(proc, String(pid));
    const stat = STAT.replace("13834 (python3) S 13789", `${pid} (${name}) S ${parent}`);
    // The client is the oldest process, so it is searched last: the search for owners starts with the
    // youngest.
    put(join(directory, "stat"), pid === 700 ? stat.replace("285937", "100") : stat);
    put(join(directory, "status"), "Name:\tx\nUid:\t0\t0\t0\t0\n");
    put(join(directory, "cmdline"), `/usr/local/bin/${name}\0serve\0`);
    put(join(directory, "cgroup"), "0::/\n");
    mkdirSync(join(directory, "fd"));
    mkdirSync(join(directory, "ns"));
    symlinkSync(`/usr/local/bin/${name}`, join(directory, "exe"));
    symlinkSync("net:[4026531833]", join(directory, "ns", "net"));
    symlinkSync("/srv", join(directory, "cwd"));
    symlinkSync("/", join(directory, "root"));
    for (const [at, inode] of sockets.entries())
      symlinkSync(`socket:[${inode}]`, join(directory, "fd", String(at + 3)));
    put(join(directory, "maps"), "");
  }
  const newHost = (elapsed: () => number) =>
    linuxHost({
      files: realFiles(),
      run: () => Promise.reject(new Error("no tools here")),
      procRoot: proc,
      sysRoot: join(root, "sys"),
      selfPid: 700,
      clock: () => 1_763_800_000_000,
      elapsed,
      cpuMs: elapsed,
      mounts: createMounts({ files: realFiles(), procRoot: proc }),
      reader: inProcessReader(createReads(realFiles())),
      namespaces: noNamespaces,
      isLibraryWanted: () => false,
    });

  test("assigns listeners to the topmost process that holds the socket, and clients to their processes", async () => {
    const snapshot = await host.observe();
    expect(snapshot.processes.get(500)).toMatchObject({
      executable: "/usr/local/bin/ollama",
      parentPid: 1,
      uid: 0,
    });
    expect(snapshot.processes.get(500)!.startedAtMs).toBe(1_763_762_400_000 + 2_859_370);
    const listener = snapshot.listeners.find(({ port }) => port === 11_434)!;
    expect(listener).toMatchObject({ address: "127.0.0.1", pid: 500, uid: 998, reachableAt: "127.0.0.1" });
    const { peers } = host.peers([listener]);
    expect(peers.get(listener.key)).toEqual([{ pid: 700, connections: 1 }]);
    expect(host.workingDirectory(700)).toBe("/srv");
  });

  test("keeps weights that a process with an inference library had mapped, and reports a mapped GPU device", async () => {
    const real = realFiles();
    const libraryHost = linuxHost({
      files: real,
      run: () => Promise.reject(new Error("no tools here")),
      procRoot: proc,
      sysRoot: join(root, "sys"),
      selfPid: 700,
      clock: () => 1_763_800_000_000,
      elapsed: () => 0,
      cpuMs: () => 0,
      mounts: createMounts({ files: real, procRoot: proc }),
      reader: inProcessReader(createReads(real)),
      namespaces: noNamespaces,
      isLibraryWanted: (path) => path.endsWith("/libggml.so"),
    });
    const maps = join(proc, "600", "maps");
    const mapping = readFileSync(maps, "utf8");
    const library = "7f9b21a00000-7f9b21a01000 r-xp 00000000 fe:00 7 /x/libggml.so\n";
    // A line from the maps of a CUDA process, from the notes in github.com/simoncblyth/opticks.
    const device = "200000000-200200000 rw-s 00000000 00:05 34651 /dev/nvidiactl\n";
    const grow = (pages: number) =>
      put(
        join(proc, "600", "stat"),
        `600 (worker) S 500 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 285937 ${pages * 4096} 65536 0\n`,
      );
    put(join(proc, "600", "status"), "Uid:\t0\t0\t0\t0\nRssAnon:\t262144 kB\n");
    grow(70_000);
    put(maps, mapping + library);
    const first = await libraryHost.observe();
    expect(first.weights.get(600)).toMatchObject([{ path: weights, how: "mapped" }]);
    expect(first.anonymous?.get(600)).toMatchObject({ heldBytes: 2 ** 28, mapsGpu: false, earlier: [] });
    grow(80_000);
    put(maps, library + device);
    // Each process is read once within four scans. The memory of the process is read in the following scan.
    for (let scan = 0; scan < 4; scan += 1) await libraryHost.observe();
    const last = await libraryHost.observe();
    expect(last.weights.get(600)).toBeUndefined();
    const traces = { mapsGpu: true, earlier: [{ path: weights }] };
    expect(last.anonymous?.get(600)).toMatchObject(traces);
  });

  test("names the package of a program at its own path, and not of another file at the same path", async () => {
    const real = realFiles();
    const host = linuxHost({
      files: {
        ...real,
        // Either the process has another root directory, or the file was replaced after the process started.
        facts: (path) => ({ ...real.facts(path), ...(path.endsWith("/800/exe") && { identity: "9:9" }) }),
      },
      run: async (command) => (command.includes("--search") ? "coreutils: /usr/bin/env\n" : "9.1-1\n"),
      procRoot: proc,
      sysRoot: join(root, "sys"),
      selfPid: 1,
      clock: () => 0,
      elapsed: () => 0,
      cpuMs: () => 0,
      mounts: createMounts({ files: real, procRoot: proc }),
      reader: inProcessReader(createReads(real)),
      namespaces: noNamespaces,
      isLibraryWanted: () => false,
    });
    for (const pid of [800, 801]) {
      putProcess({ pid, name: "env", parent: 1 });
      rmSync(join(proc, String(pid), "exe"));
      symlinkSync("/usr/bin/env", join(proc, String(pid), "exe"));
      put(join(proc, String(pid), "maps"), "55d5e0a01000-55d5e0a02000 r-xp 00001000 fe:00 5 /usr/bin/env\n");
    }
    const { processes } = await host.observe();
    for (const ask of [1, 2]) {
      const named = [800, 801].map((pid) => host.packageOf!(processes.get(pid)!));
      if (ask === 2) expect(named).toEqual([undefined, "coreutils 9.1-1"]);
      await Bun.sleep(0);
    }
    for (const pid of [800, 801]) rmSync(join(proc, String(pid)), { recursive: true });
  });

  test("finds the owners of clients in the first scan of a slow host, because a single scan has no later one", async () => {
    let nowMs = 0;
    const slow = newHost(() => {
      nowMs += 2;
      return nowMs;
    });
    const listener = (await slow.observe()).listeners.find(({ port }) => port === 11_434)!;
    expect(slow.peers([listener]).peers.get(listener.key)).toEqual([{ pid: 700, connections: 1 }]);
  });

  test("reads the header of mapped weights independent of the file name", async () => {
    const snapshot = await host.observe();
    expect(snapshot.weights.get(600)).toMatchObject([
      { format: "gguf", header: { name: "TinyLlama 1.1B Chat" } },
    ]);
    expect(snapshot.weights.size).toBe(1);
  });

  test("reports a listener without a readable owner", async () => {
    const snapshot = await host.observe();
    expect(snapshot.collectors.find(({ name }) => name === "listeners")).toEqual({
      name: "listeners",
      status: "partial",
      detail: "1 of 2 listeners have no readable owner",
    });
  });

  test("counts unreadable network namespaces, and reports an incomplete list of listeners", async () => {
    rmSync(join(proc, "600", "ns", "net"));
    symlinkSync("net:[7]", join(proc, "600", "ns", "net"));
    const detailOf = async () => {
      const { collectors } = await newHost(() => performance.now()).observe();
      return collectors.find(({ name }) => name === "listeners")!.detail;
    };
    expect(await detailOf()).toStartWith("could not read 1 other network namespaces");
    put(join(proc, "600", "net", "tcp"), "  sl\n");
    expect(await detailOf()).not.toContain("namespaces");
    const one = TCP.split("\n")[1]!;
    put(join(proc, "net", "tcp"), `  sl\n${`${one}\n`.repeat(20_000)}`);
    expect(await detailOf()).toStartWith("more than 20000 listeners: the agent did not read the others");
  });

  test("probes a link-local listener through its interface, and counts listeners whose interface is unknown", async () => {
    const of = (port: string) =>
      `   1: 000080FE00000000FF00FC00010000FE:${port} 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   998        0 26517 1 0 100 0 0 10 0\n`;
    put(join(proc, "net", "tcp6"), `  sl\n${of("2CAA")}`);
    const address = "fe80::fc:ff:fe00:1";
    const listenerOf = async () => {
      const { listeners, collectors } = await newHost(() => performance.now()).observe();
      const detail = collectors.find(({ name }) => name === "listeners")?.detail;
      return { listener: listeners.find((one) => one.address === address), detail };
    };
    const unknown = await listenerOf();
    expect(unknown.listener).not.toHaveProperty("reachableAt");
    expect(unknown.detail).toEndWith("; did not probe 1 link-local listeners: their interface is unknown");
    put(join(proc, "net", "if_inet6"), "fe8000000000000000fc00fffe000001 04 40 20 80     eth0\n");
    const known = await listenerOf();
    expect(known.listener).toMatchObject({ reachableAt: `${address}%eth0`, port: 11_434 });
    expect(known.detail).not.toContain("link-local");
  });

  test("reports `failed` without procfs", async () => {
    rmSync(root, { recursive: true });
    // Each scan reads one of the IPv4 and IPv6 tables in turn.
    await host.observe();
    const snapshot = await host.observe();
    expect(snapshot.collectors.filter(({ status }) => status === "failed").map(({ name }) => name)).toEqual([
      "processes",
      "listeners",
    ]);
  });
});
