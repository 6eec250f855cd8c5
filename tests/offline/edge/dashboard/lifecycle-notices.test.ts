import { expect, test } from "bun:test";
import type { AssetView } from "../../../../edge/control/assets/asset-view.ts";
import { ContainmentPanel, type PanelForms } from "../../../../edge/dashboard/assets/containment-panel.tsx";
import { LifecycleNotices } from "../../../../edge/dashboard/assets/lifecycle-notices.tsx";

const [OLD, NEW] = ["01M807NRG7BVMVH9SM4YAEXFP0", "01M807NRG7BVMVH9SM4YAEXFP1"];
const asset = (more: Partial<AssetView> = {}): AssetView => ({
  assetId: OLD,
  hostname: "desk-1",
  employeeId: "dana",
  os: "Linux",
  arch: "x64",
  status: "ACTIVE",
  generation: 0,
  enrolledAt: "2026-11-21T00:00:00.000Z",
  lifecycle: { state: "active" },
  containment: { state: "active", offline: false },
  ...more,
});
const strip = async (more: Partial<AssetView>) =>
  String(await LifecycleNotices({ asset: asset(more), now: 0 }).toString()).replace(/\s+/g, " ");

test("the page of a host links the earlier and later host of the same machine, and suggests a merge", async () => {
  const earlier = await strip({ enrolledAgainAs: NEW });
  expect(earlier).toContain(
    `This machine seems to have enrolled again as <a href="/assets/${NEW}">${NEW}</a>`,
  );
  expect(earlier).toContain("then merge this host into that one");
  const later = await strip({ assetId: NEW, enrolledBefore: [OLD] });
  expect(later).toContain(`it was enrolled before, as <a href="/assets/${OLD}">${OLD}</a>`);
});

test("merged hosts are not suggested again", async () => {
  const merged = await strip({ assetId: NEW, enrolledBefore: [OLD], supersedes: [OLD] });
  expect(merged).not.toContain("was enrolled before");
  expect(merged).toContain("This host replaces");
  expect(await strip({ enrolledAgainAs: NEW, supersededBy: NEW })).not.toContain(
    "seems to have enrolled again as",
  );
  expect(await strip({})).not.toContain("href");
});

test("isolate and release ask for confirmation if several machines share the device key", async () => {
  const panel = async (status: AssetView["status"], sharing: readonly string[]) => {
    const hidden = { csrf: "c", key: "k" } as unknown as PanelForms["hidden"];
    const forms: PanelForms = { hidden, sharing };
    const shown = { asset: asset({ status }), newest: undefined, forms, readOnly: "", now: 0 };
    return String(await ContainmentPanel(shown).toString());
  };
  for (const status of ["ACTIVE", "ISOLATED"] as const) {
    const asked = await panel(status, ["vdi-1", "vdi-2"]);
    expect(asked).toMatch(/<input type="checkbox" name="everyCopy" value="yes" required/);
    expect(asked).toContain("vdi-1, vdi-2");
    expect(await panel(status, [])).not.toContain("everyCopy");
  }
});
