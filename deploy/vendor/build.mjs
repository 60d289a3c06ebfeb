// Makes ingress/web/vendor anew from the pinned npm packages, byte for byte:
//
//     cd deploy/vendor && npm ci --ignore-scripts && npm run build [-- FOLDER]
//
// package-lock.json holds the integrity of each package. Users never need Node: what this writes
// is committed.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const folder = process.argv[2] ?? here("../../ingress/web/vendor");

const packages = ["preact", "htm", "@preact/signals", "@preact/signals-core", "uplot"];
const files = {
  "preact.js": ["preact", "htm", "@preact/signals", "@preact/signals-core"],
  "uplot.js": ["uplot"],
  "uplot.css": ["uplot"],
};

await mkdir(folder, { recursive: true });
await build({
  entryPoints: { preact: here("preact.js"), uplot: here("uplot.js") },
  outdir: folder,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none", // LICENCES.txt has them whole
});
await copyFile(here("node_modules/uplot/dist/uPlot.min.css"), `${folder}/uplot.css`);

const locked = JSON.parse(await readFile(here("package-lock.json"))).packages;
const versions = Object.fromEntries(
  packages.map((name) => {
    const { version, integrity, license } = locked[`node_modules/${name}`];
    return [name, { version, license, integrity }];
  }),
);
await writeFile(
  `${folder}/VERSIONS.json`,
  `${JSON.stringify({ files, packages: versions }, null, 2)}\n`,
);

const licences = await Promise.all(
  packages.map(async (name) => {
    const text = await readFile(here(`node_modules/${name}/LICENSE`), "utf8");
    return `${name} ${versions[name].version}\n\n${text.trim()}\n`;
  }),
);
await writeFile(`${folder}/LICENCES.txt`, licences.join(`\n${"-".repeat(80)}\n\n`));
