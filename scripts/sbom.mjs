// Prints what the published packages are made of, as CycloneDX: `npm run sbom > outrigger.cdx.json`.
//
// `npm sbom --omit dev` would leave out whatever the root has for its tests as well, `ws` and `pino` among them. So it is
// asked for everything, and what it says is cut down to what `npm ls --omit dev` counts as needed at run time.
import { execFileSync } from 'node:child_process';

const npm = (...argv) =>
  JSON.parse(
    execFileSync('npm', argv, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, stdio: ['ignore', 'pipe', 'inherit'] }),
  );

const namesIn = ({ dependencies = {} }) =>
  Object.entries(dependencies).flatMap(([name, child]) =>
    child.version === undefined ? [] : [`${name}@${child.version}`, ...namesIn(child)],
  );

const list = npm('ls', '--omit=dev', '--all', '--json');
const needed = new Set(namesIn(list));
const { metadata, components, dependencies, ...sbom } = npm('sbom', '--sbom-format=cyclonedx');
const root = `${list.name}@${list.version}`;

console.log(
  JSON.stringify(
    {
      ...sbom,
      // npm takes the folder for its name.
      metadata: { ...metadata, component: { ...metadata.component, name: list.name } },
      components: components.filter((component) => needed.has(component['bom-ref'])),
      dependencies: dependencies
        .filter(({ ref }) => ref === root || needed.has(ref))
        .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((name) => needed.has(name)) })),
    },
    null,
    2,
  ),
);
