// Bundles the tests, since node does not read TypeScript, and runs them by node's own runner.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";

const here = new URL(".", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "grove-sdk-"));
const tests = readdirSync(here).filter((name) => name.endsWith(".test.mjs"));
try {
  buildSync({
    entryPoints: tests.map((name) => join(here, name)),
    bundle: true,
    external: ["node:*"],
    format: "esm",
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    sourcemap: "inline",
    target: "es2021",
  });
  const files = tests.map((name) => join(folder, name));
  process.exitCode = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...process.argv.slice(2), ...files], { stdio: "inherit" }).status;
} finally {
  rmSync(folder, { recursive: true });
}
