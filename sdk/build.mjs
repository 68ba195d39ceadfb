// Builds what is committed in dist/. `--check` builds it in memory and fails where that differs from what is there.
import { readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";

const MOST_BYTES = 2048;
const FILES = [
  { entry: "global.ts", out: "grove.js", format: "iife" },
  { entry: "more.ts", out: "grove-more.js", format: "iife" },
  { entry: "module.ts", out: "grove.mjs", format: "esm" },
];
const here = (path) => new URL(path, import.meta.url).pathname;

async function make({ entry, format }) {
  const { outputFiles } = await build({
    entryPoints: [here(`src/${entry}`)],
    bundle: true,
    charset: "utf8",
    format,
    minify: true,
    target: "es2021",
    tsconfigRaw: {},
    write: false,
  });
  // Parts of several modules stand side by side only after the first time.
  return (await transform(outputFiles[0].text, { charset: "utf8", minify: true, target: "es2021" })).code;
}

const made = new Map();
for (const file of FILES) made.set(file.out, Buffer.from(await make(file)));
made.set("grove.d.ts", await readFile(here("src/grove.d.ts")));

const stale = [];
for (const [name, content] of made) {
  const path = here(`dist/${name}`);
  if (!process.argv.includes("--check")) await writeFile(path, content);
  else if (!content.equals(await readFile(path).catch(() => Buffer.alloc(0)))) stale.push(name);
  console.log(`${name}: ${content.length} bytes, ${gzipSync(content, { level: 9 }).length} gzipped`);
}
const size = gzipSync(made.get("grove.js"), { level: 9 }).length;
if (stale.length) throw new Error(`Not current, run \`npm run build\`: ${stale.join(", ")}`);
if (size > MOST_BYTES) throw new Error(`grove.js has ${size} bytes gzipped, and may have ${MOST_BYTES}.`);
