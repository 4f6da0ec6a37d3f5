// Prints what the published packages are made of, as CycloneDX: `npm run sbom > outrigger.cdx.json`.
//
// `npm sbom --omit dev` would leave out whatever the root has for its tests as well, `ws` and `pino` among them. So it is
// asked for everything, and what it says is cut down to what `npm ls --omit dev` counts as needed at run time.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const npm = async (...argv) => {
  const { stdout } = await promisify(execFile)('npm', argv, { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout);
};

const namesIn = ({ dependencies = {} }) =>
  Object.entries(dependencies).flatMap(([name, child]) =>
    child.version === undefined ? [] : [`${name}@${child.version}`, ...namesIn(child)],
  );

const [list, whole] = await Promise.all([
  npm('ls', '--omit=dev', '--all', '--json'),
  npm('sbom', '--sbom-format=cyclonedx'),
]);
const { metadata, components, dependencies, ...sbom } = whole;
const needed = new Set(namesIn(list));
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
